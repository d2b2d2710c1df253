"""Taking back what consumers left unfinished: the dead at once, the silent when their lease is over."""

from collections import deque
from collections.abc import Callable, Iterable

from synapse.delivery import membership as delivery_membership
from synapse.delivery.membership import Membership
from synapse.redis.commands.delivery import Reaped
from synapse.redis.commands.streams import Consumer

# Entries a step takes back at most: their copies are made inside Redis, which answers nobody else meanwhile.
_REAPED_AT_ONCE = 100
# How often it is noted how far the group is, in seconds: what was settled since comes again, should the group be lost.
# While nothing was read, only somebody else can have moved the group.
_CHECKPOINT_EVERY, _IDLE_CHECKPOINT_EVERY = 5.0, 60.0
# A consumer that reads is never silent for longer than a blocked read takes, and some.
_LIVELY_MS = 10_000
# A consumer with nothing pending that was silent for this long is removed; its name would stay for ever.
_FORGOTTEN_MS = 3_600_000


class Upkeep:
    """Looks after a group, a step at a time.

    In a group that Synapse did not make, what other programs' consumers have pending is theirs, however long.
    `clock` gives seconds. `has_moved`: events were read or acknowledged since the last checkpoint.
    """

    def __init__(self, membership: Membership, clock: Callable[[], float]) -> None:
        self._membership = membership
        self._clock = clock
        self._own = membership.subscription.consumer
        self._lease_ms = membership.subscription.lease_ms
        self._ours = False
        self._due = float("-inf")
        self._checkpointed_at = float("-inf")
        self.has_moved = False
        self._gone: deque[str] = deque()
        self._silent: deque[str] = deque()
        self._lost = 0

    def begin(self, *, ours: bool, gone: Iterable[str]) -> None:
        """Begin anew after joining the group; `gone` are consumers whose unfinished events are due at once."""
        self._ours = ours
        self._due = float("-inf")
        self._gone = deque(gone)
        self._silent.clear()

    @property
    def takes_back_own(self) -> bool:
        """Say whether what is pending under the consumer's own name is being taken back."""
        return self._own in self._gone

    def step(self) -> bool:
        """Take back a part of what is left to be taken back. Return False when there was nothing."""
        every = _CHECKPOINT_EVERY if self.has_moved else _IDLE_CHECKPOINT_EVERY
        if self._clock() >= self._checkpointed_at + every:
            self._membership.checkpoint()
            self._checkpointed_at, self.has_moved = self._clock(), False
        if self._gone:
            if self._retired(self._gone[0]):
                self._gone.popleft()
            return True
        if not self._silent and self._clock() >= self._due:
            self._look_around()
        if self._silent:
            reaped = self._reap(self._silent[0], self._lease_ms)
            if _was_all(reaped):
                self._silent.popleft()
            return reaped.moved > 0 or bool(self._gone)
        return bool(self._gone)

    def take_lost(self) -> int:
        """Return how many lost events were found since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def retire(self, consumer: str) -> None:
        """Give back all that a consumer has, and remove it."""
        while not self._retired(consumer):
            pass

    def _look_around(self) -> None:
        self._due = self._clock() + self._lease_ms / 3000
        found = self._membership.consumers()
        consumers = [consumer for consumer in found if consumer.name != self._own]
        self._gone.extend(consumer.name for consumer in consumers if is_dead(consumer))
        # What becomes pending from now on is not due before the next look.
        if self._ours:
            if any(consumer.pending for consumer in found):
                self._silent.append("")
            if any(not consumer.pending and consumer.idle >= _FORGOTTEN_MS for consumer in consumers):
                self._membership.clean(_FORGOTTEN_MS)
        else:
            self._silent.extend(
                consumer.name
                for consumer in found
                if consumer.pending and (consumer.name == self._own or delivery_membership.is_generated(consumer.name))
            )

    def _retired(self, consumer: str) -> bool:
        """Take back some of what a consumer has; say whether that was all. Its own name stays in the group."""
        if not _was_all(self._reap(consumer, 0)):
            return False
        self._membership.recall(consumer)
        if consumer != self._own:
            self._membership.leave(consumer)
        return True

    def _reap(self, consumer: str, idle_ms: int) -> Reaped:
        reaped = self._membership.reap(idle_ms=idle_ms, limit=_REAPED_AT_ONCE, consumer=consumer)
        self._lost += reaped.lost
        return reaped


def is_dead(consumer: Consumer) -> bool:
    """Say whether a consumer's process ran on this host and does not any more."""
    return delivery_membership.runs_here(consumer.name) is False


def is_live(consumer: Consumer) -> bool:
    """Say whether a consumer reads now, as far as can be told."""
    runs_here = delivery_membership.runs_here(consumer.name)
    return consumer.idle < _LIVELY_MS if runs_here is None else runs_here


def _was_all(reaped: Reaped) -> bool:
    return reaped.moved + reaped.lost < _REAPED_AT_ONCE
