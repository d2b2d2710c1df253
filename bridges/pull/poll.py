"""One poll of a group for `POST /v1/read`. The endpoints wait, and poll again while there are no events.

A poll is a generator of Redis commands, so that the event loop and a thread run the same code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridges.runtime.supervisor import KEEP_MS
from synapse.catalog import filters
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.sink import Delivery
from synapse.delivery.status import pack
from synapse.errors.delivery import GroupLost
from synapse.pull.cache import CHECKPOINT_EVERY, CLEAN_EVERY, RECLAIM_EVERY, REPORT_EVERY, PulledGroups
from synapse.pull.protocol import AnswerForm, PullRead
from synapse.redis import Command, Conversation, ReplyError, answer, ask, map_cooperatively
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import participants
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.delivery import MAX_WAITING, AdmitResult, InFlightEvent, LeaseResult, ReclaimResult
from synapse.redis.commands.delivery_log import DoneLog
from synapse.wire.encoding import TopLevelTypes
from synapse.wire.ids import start_of

_RECLAIMED_AT_ONCE = 100
# Milliseconds of silence after which a consumer without pending events is removed; otherwise its name would stay for
# ever.
_FORGOTTEN_MS = 3_600_000
# The number of reads in one poll, as long as the filters drop all events, or all are blocked by their key.
_MOST_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """The result of a poll: the events now in flight (`held`), and their encoded forms for the answer (`shown`).

    `more`: another poll may find events at once, even if this one found none. `next_due_ms`: the milliseconds until the
    next scheduled event is due, None without one.
    """

    held: Sequence[Delivery] = ()
    shown: Sequence[bytes] = ()
    more: bool = False
    next_due_ms: int | None = None


def take_events(
    group: BridgeDefinition,
    asked: PullRead,
    memory: PulledGroups,
    types_of: Mapping[str, TopLevelTypes],
    form: AnswerForm,
) -> Conversation[PollResult]:
    """Take events of the group without waiting for new ones, and reclaim those that readers held longer than the
    lease.
    """
    poll = _Poll(group, asked, memory, types_of, form)
    found = PollResult()
    for _ in range(_MOST_ROUNDS):
        try:
            found = yield from poll.run_once()
        except GroupLost:
            memory.record_lost(asked)
            found = PollResult(more=True)
        if found.held or not found.more:
            break
    return found


def give_back(group: BridgeDefinition, asked: PullRead, found: PollResult) -> Conversation[None]:
    """Return events to the group because their reader disconnected before the answer. They do not count as an attempt.

    Raises:
        RedisUnavailable: when Redis cannot be used. Then the events are delivered again when their lease is over.
    """
    held = [(one.id, one.token) for one in found.held]
    yield [delivery_commands.release(group.stream, group.group, asked.consumer, held)]


class _Poll:
    def __init__(
        self,
        group: BridgeDefinition,
        asked: PullRead,
        memory: PulledGroups,
        types_of: Mapping[str, TopLevelTypes],
        form: AnswerForm,
    ) -> None:
        self._group = group
        self._asked = asked
        self._memory = memory
        self._types_of = types_of
        self._form = form
        self._group_key = (group.stream, group.group)
        self._count = min(asked.count, group.batch_size)
        self._logs = group.delivery_log != "off"

    def run_once(self) -> Conversation[PollResult]:
        """Poll once.

        Raises:
            GroupLost: when the group no longer exists in Redis.
        """
        leased: LeaseResult | None = yield from self._upkeep_and_lease()
        if leased is None:
            return PollResult()
        held = list(leased.events)
        room = self._count - len(held)
        read = 0
        if room and leased.waiting < MAX_WAITING:
            fresh, read = yield from self._read_new(room)
            held += fresh
        wanted = yield from self._filter_events(held)
        # Events are encoded one by one: encoding the whole answer in one piece would block the event loop.
        shown = yield from map_cooperatively(wanted, self._form.write)
        self._memory.record_given(self._asked, len(wanted))
        more = bool(held or read or leased.dead or leased.lost)
        return PollResult(held=wanted, shown=shown, more=more, next_due_ms=leased.next_due_ms)

    def _upkeep_and_lease(self) -> Conversation[LeaseResult | None]:
        """Do the group's upkeep that is due, and lease scheduled events. Return None when the group is paused."""
        joins = not self._memory.is_joined(self._asked)
        upkeep = self._upkeep_commands()
        lease = delivery_commands.lease(
            *self._group_key,
            self._asked.consumer,
            limit=self._count,
            lease_ms=round(self._group.lease_seconds * 1000),
            most_attempts=self._group.max_attempts,
            logs=self._logs,
        )
        asked = [*([self._join_command()] if joins else []), *upkeep, *([] if self._group.paused else [lease])]
        replies = [self._check_reply(reply) for reply in (yield from ask(asked))] if asked else []
        if joins:
            self._memory.record_joined(self._asked)
        for reply in replies:
            if isinstance(reply, ReclaimResult) and reply.moved + reply.lost == _RECLAIMED_AT_ONCE:
                self._memory.mark_unfinished(self._asked, "reclaim")
        return None if self._group.paused else replies[-1]

    def _join_command(self) -> Command:
        again = self._memory.was_joined(self._asked)
        return delivery_commands.join(
            *self._group_key,
            self._asked.consumer,
            start="0" if again else self._start,
            mode="again" if again else "any",
            run=self._memory.consumer,
            owned=True,
        )

    @property
    def _start(self) -> str:
        return start_of(self._group.start, now=datetime.now(UTC))

    def _upkeep_commands(self) -> list[Command]:
        due, asked = self._memory.is_due, self._asked
        lease_ms = round(self._group.lease_seconds * 1000)
        found = []
        if due(asked, "reclaim", RECLAIM_EVERY):
            found.append(
                delivery_commands.reclaim(*self._group_key, idle_ms=lease_ms, limit=_RECLAIMED_AT_ONCE, logs=self._logs)
            )
        if due(asked, "clean", CLEAN_EVERY):
            found.append(delivery_commands.clean(*self._group_key, keep=asked.consumer, idle_ms=_FORGOTTEN_MS))
        if due(asked, "checkpoint", CHECKPOINT_EVERY):
            found.append(delivery_commands.checkpoint(*self._group_key))
        if due(asked, "report", REPORT_EVERY):
            words = pack(self._memory.status(asked, paused=self._group.paused))
            found.append(participants.report(*self._group_key, self._memory.consumer, words, keep_ms=KEEP_MS))
        return found

    def _read_new(self, room: int) -> Conversation[tuple[list[InFlightEvent], int]]:
        """Read new events. Return them with the number of entries that were read."""
        order, consumer = self._group.order, self._asked.consumer
        if order == "none":
            (reply,) = yield from ask([stream_commands.xreadgroup(*self._group_key, consumer, count=room, block_ms=0)])
            entries = self._check_reply(reply)
            return [InFlightEvent(id=entry.id, parts=entry.parts, attempt=1) for entry in entries], len(entries)
        read = delivery_commands.read(*self._group_key, consumer, limit=room, order=order, key=self._group.order_key)
        (reply,) = yield from ask([read])
        admitted: AdmitResult = self._check_reply(reply)
        return admitted.events, admitted.read

    def _filter_events(self, held: Sequence[InFlightEvent]) -> Conversation[list[Delivery]]:
        """Return the events that match the group's filters, and acknowledge the others."""
        deliveries = [
            Delivery(
                stream=self._group.stream,
                id=one.id,
                attempt=one.attempt,
                parts=one.parts,
                types_of=self._types_of,
                token=one.token,
            )
            for one in held
        ]
        if not (self._group.event_types or self._group.filters):
            return deliveries
        marked = yield from map_cooperatively(deliveries, lambda one: (one, self._matches_filters(one)))
        unwanted = [one.id for one, is_wanted in marked if not is_wanted]
        if unwanted:
            log = DoneLog(consumer=self._asked.consumer) if self._group.delivery_log == "all" else None
            yield from ask([delivery_commands.done(*self._group_key, unwanted, counter="filtered", log=log)])
        return [one for one, is_wanted in marked if is_wanted]

    def _matches_filters(self, one: Delivery) -> bool:
        if self._group.event_types and one.event_type not in self._group.event_types:
            return False
        return filters.all_hold(self._group.filters, one.event)

    def _check_reply(self, reply: Any) -> Any:
        if isinstance(reply, ReplyError) and (reply.code == "NOGROUP" or "no such key" in str(reply).lower()):
            raise GroupLost
        return answer(reply, self._group.stream)
