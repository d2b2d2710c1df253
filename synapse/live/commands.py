"""The commands of a WebSocket connection that watches streams: JSON objects, whose member `op` names the command."""

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


def _moment(value: Any) -> Any:
    """Return the ids of a moment. Milliseconds are also taken as a number."""
    text = str(value) if type(value) is int else value
    return parse_moment(text, "since") if isinstance(text, str) else text


class Command(Body):
    """A command that was read; the class is named as its `op`, in lower case."""


class Ping(Command):
    """Asks for a `pong`."""


class Subscribe(Command):
    """Follows a stream, or all."""

    stream: str = about("The stream; * for all that the caller may read, with those that come later.", min_length=1)
    after: str = about("The id of the last event that was received; 0 is everything there is.", default="")
    since: Annotated[SkipValidation[Range | None], BeforeValidator(_moment)] = about(
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
            BadParameter, BadFilterExpression: when the id, or the filter, cannot be used.
        """
        query = TailQuery(
            event_types=frozenset(self.event_type), filter=compile_filter(self.filter) if self.filter else None
        )
        if self.after and self.since is not None:
            raise BadParameter("Say “after” or “since”, not both.", parameter="since")
        if self.after:
            found = parse_id(self.after)
            # An id belongs to one stream; the beginning is that of each.
            if found is None or (self.is_of_all and found.first != FIRST):
                raise BadParameter(
                    "“after” is 0 for all there is, or the id of an entry of one stream, such as 1705314600000-0.",
                    parameter="after",
                )
            return query.resumed(found.first)
        return query if self.since is None else replace(query, after=preceding(self.since.first))


class Unsubscribe(Command):
    """Leaves a stream, or all that were followed with `*`."""

    stream: str = about("The stream, or *.", min_length=1)


class Resume(Command):
    """Names the position of a connection before: the streams that are followed next continue there."""

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
    """A message of a client, of which only the member `id` was looked at: the answer repeats it.

    Attributes:
        id: The client's own number or text for the command, None without one.
        members: All other members.
    """

    id: CommandId
    members: Mapping[str, Any]

    def command(self) -> Command:
        """Return the command.

        Raises:
            BadParameter: when there is no such command, or a member cannot be used.
        """
        members = dict(self.members)
        kind = COMMANDS.get(op) if isinstance(op := members.pop("op", None), str) else None
        if kind is None:
            raise BadParameter(f"“op” is one of {', '.join(COMMANDS)}.", parameter="op")
        return kind.of_members(members)


def read_envelope(message: bytes) -> Envelope:
    """Return a client's message as an object with an id.

    Raises:
        BadRequest: when it is not strict JSON, or no object.
        BadParameter: when its id cannot be used.
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
