"""A process's cache of the groups that are pulled through it. It saves commands; losing it does no harm."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from synapse.delivery.membership import new_consumer_name
from synapse.delivery.status import Status
from synapse.pull.protocol import GroupRef

# The intervals of a group's upkeep in seconds: reclaiming events that were held too long, removing silent consumers,
# reporting that the group is pulled, and the checkpoint of its position.
RECLAIM_EVERY, CLEAN_EVERY, REPORT_EVERY, CHECKPOINT_EVERY = 1.0, 60.0, 1.0, 5.0


@dataclass(slots=True)
class _GroupState:
    """The cached state of one group. `due` has the next time (monotonic seconds) of each kind of work."""

    since: float
    joined: bool = False
    was_joined: bool = False
    due: dict[str, float] = field(default_factory=dict)
    given_out: int = 0
    last_at: float | None = None
    bells: set[Callable[[], object]] = field(default_factory=set)


class PulledGroups:
    """The cached state of each pulled group, shared by the event loop and the threads. `clock` returns monotonic
    seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._groups: dict[tuple[str, str], _GroupState] = defaultdict(lambda: _GroupState(since=time.time()))
        self.consumer = new_consumer_name()

    def is_joined(self, ref: GroupRef) -> bool:
        """Say whether the group is known to exist and to belong to Synapse."""
        return self._state_of(ref).joined

    def was_joined(self, ref: GroupRef) -> bool:
        """Say whether the group existed before. A group that did, and has to be created again, was lost."""
        return self._state_of(ref).was_joined

    def record_joined(self, ref: GroupRef) -> None:
        """Record that the group exists."""
        known = self._state_of(ref)
        known.joined = known.was_joined = True

    def record_lost(self, ref: GroupRef) -> None:
        """Record that the group was deleted."""
        self._state_of(ref).joined = False

    def is_due(self, ref: GroupRef, work: str, every: float) -> bool:
        """Say whether a kind of work for the group is due. If so, the next time is `every` seconds later."""
        due, now = self._state_of(ref).due, self._clock()
        if now < due.get(work, float("-inf")):
            return False
        due[work] = now + every
        return True

    def mark_unfinished(self, ref: GroupRef, work: str) -> None:
        """Record that some work was not finished, so that it is due at once."""
        self._state_of(ref).due.pop(work, None)

    def record_given(self, ref: GroupRef, count: int) -> None:
        """Count events that were given to a reader."""
        known = self._state_of(ref)
        known.given_out += count
        known.last_at = time.time()

    def status(self, ref: GroupRef, *, paused: bool) -> Status:
        """Return the status of the group in this process, in the form that a process with a bridge reports."""
        known = self._state_of(ref)
        return Status(
            state="paused" if paused else "running",
            since=known.since,
            last_delivered_at=known.last_at,
            delivered=known.given_out,
        )

    @contextmanager
    def ringing(self, ref: GroupRef, bell: Callable[[], object]) -> Iterator[None]:
        """Call `bell`, in any thread, whenever events of the group may have become due, until the block ends."""
        bells = self._state_of(ref).bells
        bells.add(bell)
        try:
            yield
        finally:
            bells.discard(bell)

    def ring(self, ref: GroupRef) -> None:
        """Wake all waiting readers of the group's events."""
        known = self._groups.get((ref.stream, ref.group))
        for bell in list(known.bells) if known else ():
            bell()

    def _state_of(self, ref: GroupRef) -> _GroupState:
        return self._groups[ref.stream, ref.group]


@cache
def memory() -> PulledGroups:
    """Return the cache of this process."""
    return PulledGroups()
