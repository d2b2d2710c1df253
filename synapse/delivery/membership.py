"""A consumer in a group: its name, and the commands that it sends, with checked replies.

A generated name, `host:pid:run`, lets other processes see whether the consumer's process still runs.
"""

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from synapse.catalog.bridge_definitions import DeliveryLog, Order
from synapse.delivery.retry import Policy
from synapse.errors.delivery import GroupLost
from synapse.redis import Command, RedisRefused, ReplyError, SyncExecutor, WrongType
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.delivery import (
    AdmitResult,
    Failure,
    FailureResult,
    InFlightEvent,
    JoinResult,
    LeaseResult,
    RecallResult,
    ReclaimResult,
)
from synapse.redis.commands.delivery_log import DoneLog
from synapse.redis.commands.streams import Consumer
from synapse.runtime.process import is_alive
from synapse.tracing.span import Relation

_NAME = re.compile(r"(?P<host>.+):(?P<pid>[0-9]{1,10}):(?P<run>[0-9a-f]{8})")
_of_this_process: set[str] = set()


def process_name() -> str:
    """Return the name of this process: the beginning of the names of all its consumers."""
    return f"{_host_name()}:{os.getpid()}"


def new_consumer_name() -> str:
    """Return a new, unique consumer name."""
    name = f"{process_name()}:{secrets.token_hex(4)}"
    _of_this_process.add(name)
    return name


def forget_consumer(name: str) -> None:
    """Record that no worker of this process uses a name any more, so that entries pending under it are reclaimed."""
    _of_this_process.discard(name)


def is_generated(name: str) -> bool:
    """Say whether `new_consumer_name` made this name, in any process."""
    return _NAME.fullmatch(name) is not None


def runs_here(name: str) -> bool | None:
    """Say whether the consumer's process runs on this host; None if the name does not tell."""
    found = _NAME.fullmatch(name)
    if found is None or found["host"] != _host_name():
        return None
    pid = int(found["pid"])
    if pid == os.getpid():
        # In a container each run has the same process id, so names of earlier runs have to be told from those of this
        # one.
        return name in _of_this_process
    return is_alive(pid)


def _host_name() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "unknown"


LEASE_MS = 60_000
_RECALLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The group and consumer name of a worker, and its reading options.

    A missing group is created, and begins after the id `start`; with `must_be_new`, an existing group is not joined.
    `owned`: a bridge is defined for the group, so it belongs to Synapse even if another program created it. An event
    that is not acknowledged within `lease_ms` is given to another consumer. `batch` is the most events in one read,
    `block_ms` the time that a read waits for an event (0: it does not wait). `order` and `order_key` as in a bridge's
    definition. `retry`: the policy for events whose attempts fail. `delivery_log`: which attempts are logged.
    `tracing`: how the spans of deliveries belong to the trace of the publish.
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
    order: Order = "none"
    order_key: str = ""
    retry: Policy = field(default_factory=Policy)
    delivery_log: DeliveryLog = "off"
    tracing: Relation = "link"


class Membership:
    """A consumer in a group. `clock` gives seconds.

    Every method raises GroupLost when the group does not exist any more, and RedisFailure when Redis cannot be reached
    or refuses.
    """

    def __init__(
        self,
        subscription: Subscription,
        executor: SyncExecutor,
        *,
        run: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.subscription = subscription
        self._clock = clock
        self._executor = executor
        self._run = run
        self._group_key = (subscription.stream, subscription.group)
        self._logs = subscription.delivery_log != "off"
        # Whether the last ordered read found events, even if all are blocked by their key.
        self.found_some = False
        # Whether the last read returned nothing because an earlier event of the stream is not done (order “stream”).
        self.is_blocked = False
        # When the leases of the events of the last read began, by the clock.
        self.read_at = 0.0

    def join(self, mode: Literal["any", "new", "again"]) -> tuple[JoinResult, list[Consumer]]:
        """Join the group, and create it if it is missing. Return the result, and the consumers that were in it
        before.
        """
        start = "0" if mode == "again" else self.subscription.start
        consumer, owned = self.subscription.consumer, self.subscription.owned
        join = delivery_commands.join(*self._group_key, consumer, start=start, mode=mode, run=self._run, owned=owned)
        # The first reply is an error when the group or its stream does not exist yet.
        before, joined = self._executor.execute([stream_commands.xinfo_consumers(*self._group_key), join])
        return self._check_reply(joined), [] if isinstance(before, ReplyError) else before

    def checkpoint(self) -> None:
        """Store the group's position, at which it is created again if it is lost."""
        self._execute(delivery_commands.checkpoint(*self._group_key))

    def read(self, limit: int, block_ms: int) -> list[InFlightEvent]:
        """Read events that no consumer of the group has had, waiting up to `block_ms` for the first."""
        if self.subscription.order != "none":
            return self._read_in_order(limit, block_ms)
        consumer = self.subscription.consumer
        entries = self._execute(stream_commands.xreadgroup(*self._group_key, consumer, count=limit, block_ms=block_ms))
        # Measured after the read, which may have waited for events.
        self.read_at = self._clock()
        return [InFlightEvent(id=entry.id, parts=entry.parts, attempt=1) for entry in entries]

    def _read_in_order(self, limit: int, block_ms: int) -> list[InFlightEvent]:
        admitted = self._admit(limit)
        if not admitted.read and not admitted.blocked and block_ms:
            # A script cannot wait, so XREAD does. It begins at the last id that the script saw, so that no event is
            # missed.
            self._execute(stream_commands.xread(self.subscription.stream, admitted.last_id, count=1, block_ms=block_ms))
            admitted = self._admit(limit)
        self.found_some, self.is_blocked = admitted.read > 0, admitted.blocked
        return admitted.events

    def _admit(self, limit: int) -> AdmitResult:
        subscription = self.subscription
        order: Literal["key", "stream"] = "stream" if subscription.order == "stream" else "key"
        read = delivery_commands.read(
            *self._group_key,
            subscription.consumer,
            limit=limit,
            order=order,
            key=subscription.order_key,
            together=True,
        )
        # Measured before the read, so that a late reply shortens the lease, and no other consumer can have the events.
        self.read_at = self._clock()
        admitted: AdmitResult = self._execute(read)
        return admitted

    def lease(self, limit: int) -> LeaseResult:
        """Lease due events that are scheduled for retry. Events without attempts left become dead letters."""
        subscription = self.subscription
        lease = delivery_commands.lease(
            *self._group_key,
            subscription.consumer,
            limit=limit,
            lease_ms=subscription.lease_ms,
            most_attempts=subscription.retry.most_attempts,
            together=subscription.order != "none",
            logs=self._logs,
        )
        leased: LeaseResult = self._execute(lease)
        return leased

    def report_outcomes(
        self,
        *,
        taken: Sequence[tuple[str, str]] = (),
        attempts: Sequence[int] = (),
        took_ms: int | None = None,
        unwanted: Sequence[tuple[str, str]] = (),
        unbegun: Sequence[tuple[str, str]] = (),
        failed: Sequence[Failure] = (),
    ) -> list[FailureResult]:
        """Record the outcomes of events (ids, with the token of the lease): acknowledge taken and unwanted events,
        release events that were not begun. Return what each failed event becomes.

        `attempts` has the attempt number of each taken event, and `took_ms` the duration of one, for the delivery log.
        """
        asked = [
            command
            for ids, command in (
                # Unwanted events first: no event of their keys has to wait for the others.
                (unwanted, self._filtered_command(unwanted)),
                (taken, self._done_command(taken, attempts, took_ms)),
                (unbegun, delivery_commands.release(*self._group_key, self.subscription.consumer, unbegun)),
                (failed, self._failed_command(failed)),
            )
            if ids
        ]
        replies = [self._check_reply(reply) for reply in self._executor.execute(asked)] if asked else []
        return replies[-1] if failed else []

    def _done_command(self, held: Sequence[tuple[str, str]], attempts: Sequence[int], took_ms: int | None) -> Command:
        ids, tokens = [id_ for id_, _ in held], [token for _, token in held]
        tokens = tokens if self.subscription.order != "none" else []
        return delivery_commands.done(*self._group_key, ids, tokens=tokens, log=self._log_of(attempts, took_ms))

    def _filtered_command(self, held: Sequence[tuple[str, str]]) -> Command:
        ids = [id_ for id_, _ in held]
        return delivery_commands.done(*self._group_key, ids, counter="filtered", log=self._log_of((), None))

    def _log_of(self, attempts: Sequence[int], took_ms: int | None) -> DoneLog | None:
        if self.subscription.delivery_log != "all":
            return None
        return DoneLog(consumer=self.subscription.consumer, took_ms=took_ms, attempts=attempts)

    def _failed_command(self, failed: Sequence[Failure]) -> Command:
        return delivery_commands.fail(*self._group_key, failed, consumer=self.subscription.consumer, logs=self._logs)

    def list_consumers(self) -> list[Consumer]:
        """Return the group's consumers."""
        found: list[Consumer] = self._execute(stream_commands.xinfo_consumers(*self._group_key))
        return found

    def reclaim(self, *, idle_ms: int, limit: int, consumer: str = "") -> ReclaimResult:
        """Reclaim entries that have been pending for `idle_ms`, of one consumer, or of all ("")."""
        reclaimed: ReclaimResult = self._execute(
            delivery_commands.reclaim(
                *self._group_key, idle_ms=idle_ms, limit=limit, consumer=consumer, logs=self._logs
            )
        )
        return reclaimed

    def recall(self, consumer: str) -> int:
        """End the leases of a dead consumer. Return their number."""
        offset = ended = 0
        while True:
            recalled: RecallResult = self._execute(
                delivery_commands.recall(
                    *self._group_key,
                    consumer,
                    lease_ms=self.subscription.lease_ms,
                    offset=offset,
                    limit=_RECALLED_AT_ONCE,
                    logs=self._logs,
                )
            )
            ended += recalled.ended
            if recalled.looked_at < _RECALLED_AT_ONCE:
                return ended
            # Ended leases are removed from the sorted set that `offset` counts in.
            offset += recalled.looked_at - recalled.ended

    def remove_consumer(self, consumer: str) -> bool:
        """Remove a consumer that has nothing pending. Return whether it was removed."""
        removed: bool = self._execute(delivery_commands.leave(*self._group_key, consumer))
        return removed

    def remove_silent_consumers(self, idle_ms: int) -> int:
        """Remove consumers that had nothing pending and were silent for `idle_ms`. Return their number."""
        removed: int = self._execute(
            delivery_commands.clean(*self._group_key, keep=self.subscription.consumer, idle_ms=idle_ms)
        )
        return removed

    def interrupt(self) -> None:
        """Interrupt a command that another thread waits for. The connection is closed."""
        self._executor.interrupt()

    def reconnect(self) -> None:
        """Close the connection. The next command opens a new one, to the current server."""
        self._executor.close()

    def _execute(self, command: Command) -> Any:
        return self._check_reply(self._executor.execute([command])[0])

    def _check_reply(self, reply: Any) -> Any:
        if not isinstance(reply, ReplyError):
            return reply
        if reply.code == "NOGROUP" or "no such key" in str(reply).lower():
            raise GroupLost
        if reply.code == "WRONGTYPE":
            raise WrongType(self.subscription.stream, reply.code)
        raise RedisRefused(f"Redis refused a command: {reply}.")
