"""One consumer's part in a group: each thing it can ask of Redis, with the answer checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridges.errors import GroupLost, NotAStreamNow
from streams.broker import ReplyError, SyncExecutor, commands, delivery
from streams.broker.command import Command
from streams.broker.commands import Consumer
from streams.broker.delivery import Held, Joined, Leased, Reaped, Recalled
from streams.errors import BrokerRefused

LEASE_MS = 60_000
_RECALLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a worker reads, and as whom.

    A group that is not there is made, and begins after the id `start`; `must_be_new`: one that is there is not joined.
    `owned`: the group is Synapse's, whoever made it, because a bridge is defined for it.
    What a consumer has had for `lease_ms` without settling it, another one gets. `batch`: how many events are read at
    once. `block_ms`: how long a read waits for an event; 0 does not wait.
    """

    stream: str
    group: str
    consumer: str
    start: str = "0"
    must_be_new: bool = False
    owned: bool = False
    lease_ms: int = LEASE_MS
    batch: int = 100
    block_ms: int = 2000


class Membership:
    """A consumer in a group.

    Every method raises GroupLost when the group is gone from Redis, and streams.errors.Unavailable when Redis cannot
    be reached or refuses.
    """

    def __init__(self, subscription: Subscription, executor: SyncExecutor, *, run: str) -> None:
        self.subscription = subscription
        self._executor = executor
        self._run = run
        self._place = (subscription.stream, subscription.group)

    def join(self, mode: Literal["any", "new", "again"]) -> tuple[Joined, list[Consumer]]:
        """Join the group, or make it; return also the consumers that were in it before."""
        start = "0" if mode == "again" else self.subscription.start
        consumer, owned = self.subscription.consumer, self.subscription.owned
        join = delivery.join(*self._place, consumer, start=start, mode=mode, run=self._run, owned=owned)
        # The first answer is an error where the group, or its stream, is yet to be made.
        before, joined = self._executor.execute([commands.xinfo_consumers(*self._place), join])
        return self._checked(joined), [] if isinstance(before, ReplyError) else before

    def read(self, limit: int, block_ms: int) -> list[Held]:
        """Read events that no consumer of the group has had, waiting up to `block_ms` for the first."""
        consumer = self.subscription.consumer
        entries = self._ask(commands.xreadgroup(*self._place, consumer, count=limit, block_ms=block_ms))
        return [Held(id=entry.id, parts=entry.parts, attempt=1) for entry in entries]

    def lease(self, limit: int) -> Leased:
        """Take waiting events that are due."""
        token, lease_ms = self.subscription.consumer, self.subscription.lease_ms
        leased: Leased = self._ask(delivery.lease(*self._place, token=token, limit=limit, lease_ms=lease_ms))
        return leased

    def settle(self, *, taken: Sequence[str] = (), unwanted: Sequence[str] = (), unbegun: Sequence[str] = ()) -> None:
        """Say what became of events: settle what was taken and what is not wanted, give back what was not begun."""
        consumer = self.subscription.consumer
        asked = [
            command
            for ids, command in (
                (taken, delivery.done(*self._place, taken)),
                (unwanted, delivery.done(*self._place, unwanted, counter="filtered")),
                (unbegun, delivery.release(*self._place, consumer, unbegun)),
            )
            if ids
        ]
        for reply in self._executor.execute(asked) if asked else ():
            self._checked(reply)

    def consumers(self) -> list[Consumer]:
        """Return the group's consumers."""
        found: list[Consumer] = self._ask(commands.xinfo_consumers(*self._place))
        return found

    def reap(self, *, idle_ms: int, limit: int, consumer: str = "") -> Reaped:
        """Take back what a consumer, or any, has had pending for so long."""
        reaped: Reaped = self._ask(delivery.reap(*self._place, idle_ms=idle_ms, limit=limit, consumer=consumer))
        return reaped

    def recall(self, consumer: str) -> int:
        """End the leases of a consumer that is gone. Return how many there were."""
        offset = ended = 0
        while True:
            recalled: Recalled = self._ask(
                delivery.recall(
                    *self._place,
                    token=consumer,
                    lease_ms=self.subscription.lease_ms,
                    offset=offset,
                    limit=_RECALLED_AT_ONCE,
                )
            )
            ended += recalled.ended
            if recalled.looked_at < _RECALLED_AT_ONCE:
                return ended
            # Those that ended are no longer in the range that is looked at.
            offset += recalled.looked_at - recalled.ended

    def leave(self, consumer: str) -> bool:
        """Remove a consumer that has nothing pending. Return whether it was removed."""
        removed: bool = self._ask(delivery.leave(*self._place, consumer))
        return removed

    def reconnect(self) -> None:
        """Close the connection: the next question opens a new one, wherever Redis is then."""
        self._executor.close()

    def _ask(self, command: Command) -> Any:
        return self._checked(self._executor.execute([command])[0])

    def _checked(self, reply: Any) -> Any:
        if not isinstance(reply, ReplyError):
            return reply
        if reply.code == "NOGROUP" or "no such key" in str(reply).lower():
            raise GroupLost
        if reply.code == "WRONGTYPE":
            raise NotAStreamNow(self.subscription.stream)
        raise BrokerRefused(f"Redis refused a command: {reply}.")
