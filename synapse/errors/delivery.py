"""Errors of bridges and groups.

Problem
├── NotDefined, NoSuchBridge, NoSuchDeadLetter
├── BadConfig, SinkBroken, BadPosition, BadEdit
├── SecretLost: SecretElsewhere
├── UnknownGroup: GroupNotPulled
├── GroupExists, GroupTaken, GroupDisabled, GroupOwned, GroupUnowned, GroupInUse, GroupOwed
├── TooManyWaiting, TooManyGroups, StreamNotOpen
└── DatabaseDown: CatalogAway

GroupLost

SinkError: SinkDisabled, SinkGone, SinkAway, NotBegun
"""

from collections.abc import Mapping
from typing import Literal

from synapse.problems import DatabaseDown, Problem


class NotDefined(Problem, status=404, slug="unknown-stream", title="No stream has this name"):
    """No stream of the catalog has this name."""


class NoSuchBridge(Problem, status=404, slug="unknown-bridge", title="No bridge has this name"):
    """No bridge has this name."""


class BadConfig(Problem, status=422, slug="bad-sink-config", title="The sink cannot be set up like this"):
    """The settings of a sink are not valid. `errors` has a sentence for each field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors.items()), errors=dict(errors))
        self.errors = dict(errors)


class SinkBroken(Problem, status=422, slug="sink-broken", title="The sink cannot be opened"):
    """The settings of the sink are valid, but it cannot be opened: for example, its handler cannot be imported."""


class SecretLost(Problem, status=422, slug="secret-lost", title="The secret cannot be read"):
    """A secret cannot be read: it does not exist, or was encrypted with another key."""


class SecretElsewhere(SecretLost):
    """A secret cannot be read by this command: only the environment of the running installation has it."""


class BadPosition(Problem, status=400, slug="bad-position", title="This is not a position in a stream"):
    """The text is not a position in a stream."""


class GroupExists(Problem, status=409, slug="group-exists", title="The group exists already"):
    """The group exists already, and its position was set when it was created."""


class UnknownGroup(Problem, status=404, slug="unknown-group", title="The stream has no group with this name"):
    """The stream has no group of this name: neither Redis nor a bridge has one, and no dead letters of it are left."""

    def __init__(self, stream: str, group: str) -> None:
        super().__init__(self._hint(stream[:100], group[:100]))

    def _hint(self, stream: str, group: str) -> str:
        return f"The stream “{stream}” has no group “{group}”. GET /streams/{stream}/groups lists its groups."


class NoSuchDeadLetter(
    Problem, status=404, slug="unknown-dead-letter", title="The group has no dead letter with this id"
):
    """The group has no dead letter of this id: there never was one, or it was redriven or discarded."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"There is no dead letter “{id_[:100]}”; it may have been redriven or discarded.")


class BadEdit(
    Problem, status=422, slug="bad-dead-letter-action", title="This action is not possible with a dead letter"
):
    """The action is not possible with a dead letter."""


class TooManyWaiting(
    Problem, status=409, slug="too-many-waiting", title="The group has too many scheduled or blocked events"
):
    """So many events of the group are scheduled for retry or blocked that no more can be added."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting:,} events of the group are scheduled or blocked already. Try again when "
            "some of them are delivered."
        )


class StreamNotOpen(Problem, status=403, slug="stream-not-open", title="No stream with this name accepts events"):
    """No stream of this name accepts events from clients of other programs, which expect this status for a refusal."""


class GroupNotPulled(UnknownGroup):
    """No client pulls as this group yet."""

    def _hint(self, stream: str, group: str) -> str:
        return f"No client pulls from “{stream}” as “{group}”. The first POST /v1/read creates the group."


class GroupTaken(Problem, status=409, slug="group-taken", title="The group belongs to a bridge"):
    """A bridge that delivers events to a sink reads as this group, so clients cannot pull from it."""

    def __init__(self, group: str, bridge: str) -> None:
        super().__init__(
            f"The bridge “{bridge}” reads as “{group}”, so clients cannot pull from this group. Use another name."
        )


class GroupDisabled(Problem, status=409, slug="group-disabled", title="The group is disabled"):
    """The group is disabled."""

    def __init__(self, group: str) -> None:
        super().__init__(f"The group “{group}” is disabled. It keeps its position and its backlog until it is enabled.")


class TooManyGroups(Problem, status=409, slug="too-many-groups", title="The stream has too many groups"):
    """The stream has the maximum number of pulled groups."""

    def __init__(self, stream: str, most: int) -> None:
        super().__init__(f"“{stream}” has {most} pulled groups, which is the limit. Delete some in the admin.")


class GroupOwned(Problem, status=409, slug="group-owned", title="A bridge owns the group"):
    """A bridge owns the group."""


class GroupUnowned(Problem, status=409, slug="group-unowned", title="The group belongs to another program"):
    """The group belongs to another program: no bridge of Synapse reads as it."""

    def __init__(self, group: str) -> None:
        super().__init__(
            f"No bridge and no client of Synapse reads as “{group[:100]}”. Other programs do, and Synapse cannot pause "
            "them."
        )


class GroupInUse(Problem, status=409, slug="group-in-use", title="The group is in use"):
    """A consumer is reading as the group now."""


class GroupOwed(Problem, status=409, slug="group-is-owed", title="The group has a backlog"):
    """The group has a backlog, which would be deleted with it. The members give its size, by state."""

    def __init__(self, group: str, owed: Mapping[str, int]) -> None:
        places = ", ".join(f"{count:,} {name}" for name, count in owed.items() if count)
        super().__init__(
            f"“{group[:100]}” has a backlog, which would be deleted with it: {places}. Use “force” with a “reason” to "
            "delete both."
        )
        self.members |= owed


class CatalogAway(DatabaseDown):
    """The request needs the database, which does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "A group's first read needs the database, which does not answer. Groups in use are not affected."
        )


class GroupLost(Exception):
    """The group or its stream does not exist in Redis any more: it was deleted, flushed, or lost before it was on the
    disk.
    """


# The kinds of failed attempts that statistics and metrics count.
FailureClass = Literal[
    "timeout",
    "connection",
    "http-3xx",
    "http-4xx",
    "http-5xx",
    "exception",
    "refused",
    "nacked",
    "worker-died",
    "other",
]


class SinkError(Exception):
    """A sink did not accept an event; the text is the reason.

    `permanent`: a retry cannot succeed. `retry_after`: the receiver asked to wait that many seconds before a retry.
        `failure`: the kind of failure. `status`: the HTTP status of the receiver's answer.
    """

    # Defaults for users' subclasses that do not call `__init__`.
    permanent: bool = False
    retry_after: float | None = None
    failure: FailureClass = "other"
    status: int | None = None

    def __init__(
        self,
        text: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        failure: FailureClass | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.retry_after = retry_after
        self.status = status
        self.failure = failure or ("refused" if permanent else "other")


class SinkDisabled(SinkError):
    """The receiver refuses all further events: the bridge is disabled, with the text as the reason, and the event is
    released."""


class SinkGone(SinkError):
    """The sink takes no more events, including this one. Its message is empty, because this is not a fault."""


class SinkAway(SinkError):
    """The sink is unavailable now, for example because its database does not answer. No event was begun."""


class NotBegun(SinkError):
    """The event was read, but its delivery was not begun: it is released, and no attempt is counted."""

    def __init__(self) -> None:
        super().__init__("not begun")
