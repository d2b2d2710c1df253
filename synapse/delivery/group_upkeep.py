"""Join a consumer to its group, again whenever the group was lost, and reclaim entries that other consumers left
unfinished.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from synapse.delivery import membership as delivery_membership
from synapse.delivery.membership import Membership, Subscription
from synapse.errors.delivery import GroupExists
from synapse.redis.commands.delivery import JoinResult, ReclaimResult
from synapse.redis.commands.streams import Consumer

# The most entries that one step reclaims: Redis copies them in a script, and serves no other client meanwhile.
_RECLAIMED_AT_ONCE = 100
# The interval of checkpoints of the group position, in seconds: entries acknowledged since the last checkpoint are
# delivered again if the group is lost. The longer interval is for a consumer that read nothing: then only other
# consumers can have moved the group.
_CHECKPOINT_EVERY, _IDLE_CHECKPOINT_EVERY = 5.0, 60.0
# A consumer that was silent for less than this counts as live: a blocked read takes a few seconds at most.
_LIVELY_MS = 10_000
# A consumer with nothing pending that was silent for this long is removed, since Redis would keep its name for ever.
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

    def restart(self, *, ours: bool, gone: Iterable[str]) -> None:
        """Start over after joining the group; the unfinished events of the consumers `gone` are reclaimed at once."""
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
            if self._retire_some(self._gone[0]):
                self._gone.popleft()
            return True
        if not self._silent and self._clock() >= self._due:
            self._find_due_consumers()
        if self._silent:
            reclaimed = self._reclaim_some(self._silent[0], self._lease_ms)
            if _was_all(reclaimed):
                self._silent.popleft()
            return reclaimed.moved > 0 or bool(self._gone)
        return bool(self._gone)

    def pop_lost_count(self) -> int:
        """Return the number of lost events found since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def retire(self, consumer: str) -> None:
        """Reclaim all entries of a consumer, and remove it."""
        while not self._retire_some(consumer):
            pass

    def _find_due_consumers(self) -> None:
        self._due = self._clock() + self._lease_ms / 3000
        found = self._membership.list_consumers()
        consumers = [consumer for consumer in found if consumer.name != self._own]
        self._gone.extend(consumer.name for consumer in consumers if is_dead(consumer))
        # Entries that become pending from now on are not due before the next check.
        if self._ours:
            if any(consumer.pending for consumer in found):
                self._silent.append("")
            if any(not consumer.pending and consumer.idle >= _FORGOTTEN_MS for consumer in consumers):
                self._membership.remove_silent_consumers(_FORGOTTEN_MS)
        else:
            self._silent.extend(
                consumer.name
                for consumer in found
                if consumer.pending and (consumer.name == self._own or delivery_membership.is_generated(consumer.name))
            )

    def _retire_some(self, consumer: str) -> bool:
        """Reclaim some entries of a consumer. Return whether these were all; then the consumer is removed, unless it is
        this one.
        """
        if not _was_all(self._reclaim_some(consumer, 0)):
            return False
        self._membership.recall(consumer)
        if consumer != self._own:
            self._membership.remove_consumer(consumer)
        return True

    def _reclaim_some(self, consumer: str, idle_ms: int) -> ReclaimResult:
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
    """Joins the group whenever the consumer is not in it.

    `is_in`: as far as is known, the consumer is in its group. `has_twin`: another consumer reads under the same name,
        so entries pending under that name may belong to the other one.
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

    def record_lost_connection(self) -> None:
        """Record a lost connection to Redis, with which a reply may have been lost."""
        self.is_in = False

    def record_lost_group(self) -> None:
        """Record that the group was deleted."""
        self.is_in = False
        self._group_was_lost = True

    def join_if_needed(self) -> None:
        """Join the group unless the consumer is in it.

        Raises:
            GroupExists: when the group exists and must be new.
        """
        if self.is_in:
            return
        joined, others = self._membership.join(self._join_mode())
        own = self._membership.subscription.consumer
        if self._first:
            self._check_new(joined)
            self._report_join(joined, others)
        elif joined.created or self._group_was_lost:
            self._report_loss(joined)
        # Entries pending under its own name were read without the reply arriving, or by an earlier consumer of that
        # name.
        gone = [other.name for other in others if is_dead(other) or (other.name == own and not self.has_twin)]
        self._upkeep.restart(ours=joined.ours, gone=gone)
        self.is_in, self._first, self._group_was_lost = True, False, False

    def _join_mode(self) -> Literal["any", "new", "again"]:
        if self._first:
            return "new" if self._membership.subscription.must_be_new else "any"
        # A server that restarted without its data has lost the group without any error.
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

    def _report_join(self, joined: JoinResult, others: Sequence[Consumer]) -> None:
        subscription = self._membership.subscription
        # A bridge's group is created by its first user, usually the janitor, so “new” would say nothing.
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

    def _report_loss(self, joined: JoinResult) -> None:
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
