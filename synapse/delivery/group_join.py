"""Join a consumer to its group, again after each loss, and describe losses to operators."""

from collections.abc import Callable, Sequence
from typing import Literal

from synapse.delivery.membership import Membership, Subscription
from synapse.delivery.reclaim import Upkeep, is_dead, is_live
from synapse.errors.delivery import GroupExists
from synapse.redis.commands.delivery import Joined
from synapse.redis.commands.streams import Consumer


def lost(count: int, subscription: Subscription) -> str:
    """Say that events were trimmed before they were settled."""
    what = "1 event was" if count == 1 else f"{count} events were"
    return (
        f"{what} trimmed from “{subscription.stream}” before the group “{subscription.group}” had settled "
        f"{'it' if count == 1 else 'them'}: lost, and counted as such."
    )


def dead(count: int) -> str:
    """Say that events were given up without anybody telling how their last attempt ended."""
    what = "1 event is a dead letter" if count == 1 else f"{count} events are dead letters"
    return f"{what} now: nobody told how the last attempt ended."


def too_many(count: int) -> str:
    """Say why nothing new is read."""
    return f"{count:,} events wait to come again or for their turn; nothing new is read until fewer do."


Say = Callable[[str], None]


class Joining:
    """Joins the group when that is due. `is_in`: the consumer is in its group, as far as is known.

    `has_twin`: another consumer reads under the same name, so what is pending under it may be the other's.
    """

    def __init__(self, membership: Membership, upkeep: Upkeep, say: Say) -> None:
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
        """Note that the connection was lost: what it brought may not have arrived."""
        self.is_in = False

    def lost_group(self) -> None:
        """Note that the group is gone."""
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
        # Under its own name is pending what was read and not heard of, or what the last consumer of that name left.
        gone = [other.name for other in others if is_dead(other) or (other.name == own and not self.has_twin)]
        self._upkeep.begin(ours=joined.ours, gone=gone)
        self.is_in, self._first, self._group_was_lost = True, False, False

    def _mode(self) -> Literal["any", "new", "again"]:
        if self._first:
            return "new" if self._membership.subscription.must_be_new else "any"
        # A server that came back without its data has lost the group too, and nobody said so.
        return "again"

    def _check_new(self, joined: Joined) -> None:
        subscription = self._membership.subscription
        if subscription.must_be_new and not joined.created:
            raise GroupExists(
                f"The group “{subscription.group}” of “{subscription.stream}” exists and keeps its place, so --from "
                "cannot be used with it. Leave --from out to go on where the group is, or begin elsewhere with "
                "another --group. To give this one another place, pause or stop who reads as it and move it: "
                f"POST /streams/{subscription.stream}/groups/{subscription.group}/move, or its page in the admin."
            )

    def _greet(self, joined: Joined, others: Sequence[Consumer]) -> None:
        subscription = self._membership.subscription
        # A bridge's is made by whoever comes first, and that is mostly the janitor.
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

    def _tell_loss(self, joined: Joined) -> None:
        subscription = self._membership.subscription
        if joined.resumed:
            what = "It was made again and goes on where it was a few seconds ago"
        elif joined.created:
            what = "It was made again and begins at the beginning"
        else:
            what = "Somebody made it again; it may begin at the beginning"
        self._say(
            f"The group “{subscription.group}” of “{subscription.stream}” was gone from Redis. {what}, so events may "
            "come twice."
        )
