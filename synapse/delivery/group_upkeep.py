"""Join a consumer to its group, again after each loss, and reclaim entries that other consumers left unfinished."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from synapse.delivery import membership as delivery_membership
from synapse.delivery.membership import Membership, Subscription
from synapse.errors.delivery import GroupExists
from synapse.redis.commands.delivery import JoinResult, ReclaimResult
from synapse.redis.commands.streams import Consumer

# Entries a step reclaims at most: their copies are made inside Redis, which serves no other client meanwhile.
_RECLAIMED_AT_ONCE = 100
# The interval of checkpoints of the group position, in seconds: entries acknowledged since the last one are delivered
# again, should the group be lost. While this consumer read nothing, only another consumer can have moved the group.
_CHECKPOINT_EVERY, _IDLE_CHECKPOINT_EVERY = 5.0, 60.0
# A reading consumer is never silent for much longer than a blocked read takes.
_LIVELY_MS = 10_000
# A consumer with nothing pending that was silent for this long is removed; its name would stay for ever.
_FORGOTTEN_MS = 3_600_000


class GroupUpkeep:
    """Maintains a group in Redis, a step at a time.

    In a group that Synapse did not make, entries pending with other programs' consumers are never reclaimed. `clock`
    gives seconds. `has_moved`: events were read or acknowledged since the last checkpoint.
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
        """Begin again after joining the group; `gone` are consumers whose unfinished events are due at once."""
        self._ours = ours
        self._due = float("-inf")
        self._gone = deque(gone)
        self._silent.clear()

    @property
    def takes_back_own(self) -> bool:
        """Say whether entries pending under the consumer's own name are being reclaimed."""
        return self._own in self._gone

    def step(self) -> bool:
        """Reclaim some of the entries that are due. Return False when there were none."""
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
            reclaimed = self._reclaim(self._silent[0], self._lease_ms)
            if _was_all(reclaimed):
                self._silent.popleft()
            return reclaimed.moved > 0 or bool(self._gone)
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
        # Entries that become pending from now on are not due before the next check.
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
        """Reclaim some entries of a consumer, and say whether these were all. The consumer's own name stays in the
        group."""
        if not _was_all(self._reclaim(consumer, 0)):
            return False
        self._membership.recall(consumer)
        if consumer != self._own:
            self._membership.leave(consumer)
        return True

    def _reclaim(self, consumer: str, idle_ms: int) -> ReclaimResult:
        reclaimed = self._membership.reclaim(idle_ms=idle_ms, limit=_RECLAIMED_AT_ONCE, consumer=consumer)
        self._lost += reclaimed.lost
        return reclaimed


def is_dead(consumer: Consumer) -> bool:
    """Say whether a consumer's process ran on this host and does not any more."""
    return delivery_membership.runs_here(consumer.name) is False


def is_live(consumer: Consumer) -> bool:
    """Say whether a consumer is probably reading now."""
    runs_here = delivery_membership.runs_here(consumer.name)
    return consumer.idle < _LIVELY_MS if runs_here is None else runs_here


def _was_all(reclaimed: ReclaimResult) -> bool:
    return reclaimed.moved + reclaimed.lost < _RECLAIMED_AT_ONCE


def lost_message(count: int, subscription: Subscription) -> str:
    """Return the message that events were trimmed before they were acknowledged."""
    what = "1 event was" if count == 1 else f"{count} events were"
    return (
        f"{what} trimmed from “{subscription.stream}” before the group “{subscription.group}” had acknowledged "
        f"{'it' if count == 1 else 'them'}: lost, and counted as such."
    )


def given_up_message(count: int) -> str:
    """Return the message that events became dead letters, because their last attempt ended without an outcome."""
    what = "1 event is a dead letter" if count == 1 else f"{count} events are dead letters"
    return f"{what} now: {'its' if count == 1 else 'their'} last attempt ended without an outcome."


def full_message(count: int) -> str:
    """Return the message that no new events are read, because too many are scheduled for retry."""
    return f"{count:,} events are scheduled for retry or blocked; no new ones are read until there are fewer."


Say = Callable[[str], None]


class GroupJoiner:
    """Joins the group when the consumer is not in it. `is_in`: the consumer is in its group, as far as is known.

    `has_twin`: another consumer reads under the same name, so what is pending under it may be the other's.
    """

    def __init__(self, membership: Membership, upkeep: GroupUpkeep, say: Say) -> None:
        self._membership = membership
        self._upkeep = upkeep
        self._say = say
        self._group_was_lost = False
        self._first = True
        self.is_in = False
        self.has_twin = False

    @property
    def ever_joined(self) -> bool:
        """Say whether the consumer was in its group at any time."""
        return not self._first

    def lost_redis(self) -> None:
        """Record a lost connection to Redis: replies in flight may not have arrived."""
        self.is_in = False

    def lost_group(self) -> None:
        """Record that the group was deleted."""
        self.is_in = False
        self._group_was_lost = True

    def ensure(self) -> None:
        """Join, unless the consumer is in its group.

        Raises:
            GroupExists: when the group is there and must be new.
        """
        if self.is_in:
            return
        joined, others = self._membership.join(self._mode())
        own = self._membership.subscription.consumer
        if self._first:
            self._check_new(joined)
            self._greet(joined, others)
        elif joined.created or self._group_was_lost:
            self._tell_loss(joined)
        # Pending under its own name are entries whose reading got no reply, or entries left by the last consumer of
        # that name.
        gone = [other.name for other in others if is_dead(other) or (other.name == own and not self.has_twin)]
        self._upkeep.begin(ours=joined.ours, gone=gone)
        self.is_in, self._first, self._group_was_lost = True, False, False

    def _mode(self) -> Literal["any", "new", "again"]:
        if self._first:
            return "new" if self._membership.subscription.must_be_new else "any"
        # A server that restarted without its data has lost the group too, without any error.
        return "again"

    def _check_new(self, joined: JoinResult) -> None:
        subscription = self._membership.subscription
        if subscription.must_be_new and not joined.created:
            raise GroupExists(
                f"The group “{subscription.group}” of “{subscription.stream}” exists and keeps its position, so --from "
                "cannot be used with it. Leave --from out to continue where the group is, or begin elsewhere with "
                "another --group. To move this group to another position, pause it or stop its consumers, "
                f"then move it: POST /streams/{subscription.stream}/groups/{subscription.group}/move, or its page "
                "in the admin."
            )

    def _greet(self, joined: JoinResult, others: Sequence[Consumer]) -> None:
        subscription = self._membership.subscription
        # A bridge's group is made by its first user, mostly the janitor.
        new = "the new group" if joined.created and not subscription.owned else "the group"
        self._say(f"Reading “{subscription.stream}” in {new} “{subscription.group}” as {subscription.consumer}.")
        live = [consumer.name for consumer in others if is_live(consumer)]
        if subscription.consumer in live:
            self.has_twin = True
            self._say(
                f"Another consumer read as {subscription.consumer} a moment ago. If it still does, both are taken for "
                "one, and an event may come twice: give each a --consumer of its own."
            )
        if rest := [name for name in live if name != subscription.consumer]:
            self._say(
                f"The group has live consumers already ({', '.join(rest[:3])}{', …' if len(rest) > 3 else ''}): they "
                "share its events, and each event goes to one of them."
                + ("" if subscription.owned else " For all events use another --group.")
            )
        if not joined.ours:
            self._say(
                f"The group “{subscription.group}” was not made by Synapse: what other programs leave pending in it "
                "stays theirs."
            )

    def _tell_loss(self, joined: JoinResult) -> None:
        subscription = self._membership.subscription
        if joined.resumed:
            what = "It was created again and continues where it was a few seconds ago"
        elif joined.created:
            what = "It was created again and starts at the beginning"
        else:
            what = "Another program created it again; it may start at the beginning"
        self._say(
            f"The group “{subscription.group}” of “{subscription.stream}” was gone from Redis. {what}, so events may "
            "come twice."
        )
