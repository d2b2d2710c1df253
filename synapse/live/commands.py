"""The commands of a WebSocket connection that watches streams: JSON objects whose member `op` names the command."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, SkipValidation

from synapse.endpoints import Body, about
from synapse.filters import compile_filter
from synapse.formats import strict_json
from synapse.inspection.range_query import parse_id, parse_moment
from synapse.live.query import ALL, TailQuery
from synapse.problems import BadParameter, BadRequest
from synapse.wire.ids import FIRST, Range, preceding

_LONGEST_ID = 64
_HIGHEST_ID = 2**53 - 1

CommandId = int | str | None


def _parse_since(value: Any) -> Any:
    """Parse the member `since` to the range of ids that it names. A number means milliseconds since 1970."""
    text = str(value) if type(value) is int else value
    return parse_moment(text, "since") if isinstance(text, str) else text


class Command(Body):
    """A parsed command. The name of its class in lower case is its `op`."""


class Ping(Command):
    """Asks for a `pong`."""


class Subscribe(Command):
    """Follows a stream, or all."""

    stream: str = about("The stream; * for all that the caller may read, with those that come later.", min_length=1)
    after: str = about("The id of the last event that was received; 0 is everything there is.", default="")
    since: Annotated[SkipValidation[Range | None], BeforeValidator(_parse_since)] = about(
        "From here on: an entry id, milliseconds since 1970, or a time in ISO 8601.", default=None
    )
    event_type: list[str] = about("Only events of these types.", default=[])
    filter: str = about("Only events that meet this expression.", default="")

    @property
    def is_of_all(self) -> bool:
        """Say whether the command names all streams."""
        return self.stream == ALL

    def query(self) -> TailQuery:
        """Return the query of the live tail.

        Raises:
            BadParameter, BadFilterExpression: when the id or the filter is invalid.
        """
        query = TailQuery(
            event_types=frozenset(self.event_type), filter=compile_filter(self.filter) if self.filter else None
        )
        if self.after and self.since is not None:
            raise BadParameter("Say “after” or “since”, not both.", parameter="since")
        if self.after:
            found = parse_id(self.after)
            # An id belongs to one stream; only 0, the beginning, is valid for all of them.
            if found is None or (self.is_of_all and found.first != FIRST):
                raise BadParameter(
                    "“after” is 0 for all there is, or the id of an entry of one stream, such as 1705314600000-0.",
                    parameter="after",
                )
            return query.resumed(found.first)
        return query if self.since is None else replace(query, after=preceding(self.since.first))


class Unsubscribe(Command):
    """Leaves one stream, or all streams that were followed with `*`."""

    stream: str = about("The stream, or *.", min_length=1)


class Resume(Command):
    """Sets the positions of an earlier connection: streams that are followed afterwards continue there."""

    position: str = about("The `position` of the last message that was received.", min_length=1)


class Publish(Command):
    """Publishes one event."""

    stream: str = about("The stream.", min_length=1)
    event: dict[str, Any] = about("The event.")
    idempotency_key: str = about("Sent again under the same key, nothing is stored twice.", default="")


COMMANDS: Mapping[str, type[Command]] = {
    kind.__name__.lower(): kind for kind in (Subscribe, Unsubscribe, Resume, Ping, Publish)
}


class Envelope(NamedTuple):
    """A client's message of which only the member `id` was parsed, because the answer repeats it.

    Attributes:
        id: The client's own number or text for the command, None without one.
        members: All other members.
    """

    id: CommandId
    members: Mapping[str, Any]

    def command(self) -> Command:
        """Parse the command.

        Raises:
            BadParameter: when the command is unknown, or a member is invalid.
        """
        members = dict(self.members)
        kind = COMMANDS.get(op) if isinstance(op := members.pop("op", None), str) else None
        if kind is None:
            raise BadParameter(f"“op” is one of {', '.join(COMMANDS)}.", parameter="op")
        return kind.from_members(members)


def read_envelope(message: bytes) -> Envelope:
    """Parse a client's message to an object and its id.

    Raises:
        BadRequest: when the message is not strict JSON, or not an object.
        BadParameter: when the id is invalid.
    """
    try:
        value = strict_json.loads_value(message)
    except strict_json.BadJSON as error:
        raise BadRequest(str(error)) from None
    if not isinstance(value, dict):
        raise BadRequest("A command is a JSON object.")
    id_ = value.pop("id", None)
    if not (id_ is None or _is_number(id_) or (isinstance(id_, str) and len(id_) <= _LONGEST_ID)):
        raise BadParameter(
            f"“id” is a whole number from 0 to {_HIGHEST_ID}, or a text of at most {_LONGEST_ID} characters.",
            parameter="id",
        )
    return Envelope(id_, value)


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _HIGHEST_ID
