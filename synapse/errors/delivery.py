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
    """A sink cannot be set up like this. `errors` says why, a sentence for each field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors.items()), errors=dict(errors))
        self.errors = dict(errors)


class SinkBroken(Problem, status=422, slug="sink-broken", title="The sink cannot be opened"):
    """The sink is set up well, and still cannot be opened: its handler cannot be imported, say."""


class SecretLost(Problem, status=422, slug="secret-lost", title="The secret cannot be read"):
    """A secret cannot be read: it is not there, or was encrypted with another key."""


class SecretElsewhere(SecretLost):
    """A secret cannot be read here: the installation that runs on this machine has it in its environment."""


class BadPosition(Problem, status=400, slug="bad-position", title="This is no place in a stream to begin at"):
    """This is no place in a stream to begin at."""


class GroupExists(Problem, status=409, slug="group-exists", title="The group is there already"):
    """The group is there already: where it begins was decided when it was made."""


class UnknownGroup(Problem, status=404, slug="unknown-group", title="The stream has no such group"):
    """The stream has no group of this name: in Redis, of a bridge, or with dead letters left."""

    def __init__(self, stream: str, group: str) -> None:
        super().__init__(self._hint(stream[:100], group[:100]))

    def _hint(self, stream: str, group: str) -> str:
        return f"The stream “{stream}” has no group “{group}”. GET /streams/{stream}/groups lists those that it has."


class NoSuchDeadLetter(Problem, status=404, slug="unknown-dead-letter", title="There is no such dead letter"):
    """The group has no dead letter of this id: it never had, or it was redriven or discarded meanwhile."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"There is no dead letter “{id_[:100]}”; it may have been redriven or discarded meanwhile.")


class BadEdit(Problem, status=422, slug="bad-dead-letter-action", title="This cannot be done with a dead letter"):
    """This cannot be done with a dead letter."""


class TooManyWaiting(Problem, status=409, slug="too-many-waiting", title="Too many events wait in the group"):
    """So much waits in the group that nothing can be added."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting:,} events of the group wait already: let them be delivered first.")


class StreamNotOpen(Problem, status=403, slug="stream-not-open", title="No such stream takes events"):
    """No stream of this name takes events from other programs' clients: they know a refusal by this status."""


class GroupNotPulled(UnknownGroup):
    """No client pulls as this group yet."""

    def _hint(self, stream: str, group: str) -> str:
        return f"Nobody pulls from “{stream}” as “{group}”. The first POST /v1/read makes the group."


class GroupTaken(Problem, status=409, slug="group-taken", title="The group belongs to a bridge"):
    """A bridge that brings events somewhere reads as this group."""

    def __init__(self, group: str, bridge: str) -> None:
        super().__init__(
            f"The bridge “{bridge}” reads as “{group}”, and a group is either pulled or brought. Use another name."
        )


class GroupDisabled(Problem, status=409, slug="group-disabled", title="The group is disabled"):
    """The group was disabled."""

    def __init__(self, group: str) -> None:
        super().__init__(f"The group “{group}” is disabled. It keeps its position and its backlog until it is enabled.")


class TooManyGroups(Problem, status=409, slug="too-many-groups", title="The stream has too many groups"):
    """As many groups of a stream are pulled as may."""

    def __init__(self, stream: str, most: int) -> None:
        super().__init__(f"“{stream}” has {most} groups that are pulled, as many as may be. Delete some in the admin.")


class GroupOwned(Problem, status=409, slug="group-owned", title="A bridge owns the group"):
    """A bridge owns the group."""


class GroupUnowned(Problem, status=409, slug="group-unowned", title="The group is another program's"):
    """The group belongs to another program: no bridge of Synapse reads as it."""

    def __init__(self, group: str) -> None:
        super().__init__(
            f"No bridge reads as “{group[:100]}”, and nobody pulls as it: other programs do, and they cannot be paused "
            "here."
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
    """The database is needed, and does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "A group's first read needs the database, which does not answer. Groups in use are not affected."
        )


class GroupLost(Exception):
    """The group, or its stream, is gone from Redis: deleted, flushed, or never written to a disk."""


# The kinds of failures of attempts, as statistics and metrics count them.
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
    """A sink did not take an event; the text says why.

    `permanent`: it never will, trying again is of no use. `retry_after`: the receiver asked not to be tried again for
    so many seconds. `failure`: what kind of failure it is. `status`: the HTTP status that the receiver answered.
    """

    # For classes of a user's that do not call this one.
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
    """The receiver refuses all further events: the bridge is to be disabled with this reason. The event is released."""


class SinkGone(SinkError):
    """The sink takes nothing any more, this event included. An empty message: that is nothing to worry about."""


class SinkAway(SinkError):
    """The sink can take nothing now: its database does not answer, say. Nothing was done with any event."""


class NotBegun(SinkError):
    """The event was read and nothing was done with it: it is given back, and this was no attempt."""

    def __init__(self) -> None:
        super().__init__("not begun")
