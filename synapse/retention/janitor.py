"""The janitor: keeps every stream within its limits. Publishing never trims.

One janitor works at a time over all processes: it holds a lease in Redis that ends unless it is renewed. The lease only
saves work: each trim is one atomic script, so a janitor that was suspended and wakes beside its successor does no harm.
The rules are in docs/retention.md.

The backlog of a group can only be kept when the group exists. So before any trim, the janitor creates missing groups of
bridges, whether the bridges run or not.

Whether a stream has entries to trim follows from its length, and from the age of its oldest entry, which is known from
the last trim. So for idle streams only the length is read, for up to 500 in one pipeline, and not in every turn when
there are hundreds of them. One command names the streams that were published to recently.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import Command, ReplyError, SyncExecutor, keyspace, value
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import participants
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Limits, TrimResult
from synapse.redis.lease import Lease
from synapse.runtime.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)

# The time for which a group that was not declared durable holds entries back after its last activity.
PIN_FOR = timedelta(hours=24)
# A killed janitor is replaced when its lease ends, after two turns without a renewal.
LEASE_MS = 2_000
# The entries that one call of the script may trim, and the calls in one pipeline. Redis executes them without a pause,
# which takes milliseconds.
ROOM = 1_000
TOGETHER = 8
# The seconds that one turn may take, so that the lease is renewed in time; and the part of them for finding streams
# with entries to trim, because thousands of idle streams must not occupy a core.
BUDGET = 0.5
LOOKING = 0.2
# The interval in which the length of an unchanged stream is read: these seconds for each stream in the catalog, and at
# most the second number of seconds. The third number is how many lengths are read in one pipeline.
ASK_EVERY, MOST_ASK_EVERY = 0.005, 10.0
ASKED_TOGETHER = 500
# The interval in which a stream is examined to record moves of its groups: seconds, and further seconds for each
# stream.
LOOK_EVERY, LOOK_EVERY_EACH = 30.0, 0.02

# Groups that hold back their backlogs, by stream. Each has the id after which it begins if it does not exist yet.
Durable = Mapping[str, Mapping[str, str]]

_providers: list[Callable[[], Durable]] = []


def provide_durable_groups(provider: Callable[[], Durable]) -> None:
    """Register a provider of durable groups by stream. It is called in every turn, so it must answer from memory,
    without I/O.

    When the provider raises, nothing is trimmed in that turn: keeping too much is better than trimming an
    unacknowledged event.
    """
    _providers.append(provider)


def durable_groups() -> Durable:
    """Return by stream the groups that hold back their backlogs regardless of their silence."""
    found: dict[str, dict[str, str]] = {}
    for provider in _providers:
        for stream, groups in provider().items():
            found.setdefault(stream, {}).update(groups)
    return found


def limits_of(stream: StreamDefinition, pin_for: timedelta = PIN_FOR) -> Limits:
    """Return the limits of a stream.

    A stream that refuses new events when it is full keeps its last tenth free of acknowledged entries, so that history
    alone never makes publishers wait.
    """
    rejects = stream.when_full == "reject"
    return Limits(
        max_length=min(stream.max_length, stream.hard_length * 9 // 10 if rejects else stream.hard_length),
        max_age_ms=_to_milliseconds(stream.max_age) if stream.max_age else 0,
        hard_length=0 if rejects else stream.hard_length,
        pin_for_ms=_to_milliseconds(pin_for),
    )


@dataclass(slots=True, kw_only=True)
class _StreamState:
    """The cached state of a stream: its groups and its length.

    `looked_at` is the time of its last trim, also when nothing was trimmed. `look_at` is the time of the next one, and
    `ask_at` the time of the next reading of its length. Times are in seconds of the janitor's clock.
    """

    stream: StreamDefinition
    groups: tuple[bytes, ...] = ()
    length: int = 0
    looked_at: float = float("-inf")
    look_at: float = float("-inf")
    ask_at: float = float("-inf")


class Janitor:
    """Trims the streams in turn, a bounded part at a time, as long as it holds the lease.

    `streams` returns the streams of the catalog by name, `durable` their durable groups. `clock` returns seconds.
    """

    def __init__(
        self,
        executor: Callable[[], SyncExecutor],
        streams: Callable[[], Mapping[str, StreamDefinition]],
        durable: Callable[[], Durable] = durable_groups,
        *,
        pin_for: timedelta = PIN_FOR,
        room: int = ROOM,
        budget: float = BUDGET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._streams = streams
        self._durable = durable
        self._pin_for = pin_for
        self._room = room
        self._budget = budget
        self._clock = clock
        self._lease = Lease(keyspace.JANITOR_LEASE, ttl_ms=LEASE_MS)
        self._known: dict[str, _StreamState] = {}
        self._failures = RepeatedFailures()
        # Streams that were trimmed in the last turn, or have more to trim: they are examined in every turn.
        self._busy: list[str] = []

    def step(self) -> bool:
        """Do one turn: trim while there is something to trim and time is left.

        Return whether this process holds the lease.

        Raises:
            RedisUnavailable: when Redis cannot be used.
            ReplyError: when Redis refuses the lease.
        """
        held, lately = self._executor().execute([self._lease.hold(), participants.recently_published_streams()])
        if not value(held):
            return False
        streams, durable = self._streams(), self._durable()
        # Streams that were deleted or redefined lose their cached state, except for their groups.
        self._known = {
            name: known
            if (known := self._known.get(name)) and known.stream is stream
            else _StreamState(stream=stream, groups=known.groups if known else ())
            for name, stream in streams.items()
        }
        grown = self._ask_lengths(() if isinstance(lately, ReplyError) else lately)
        self._sweep(streams, durable, grown | self._without_groups(durable))
        return True

    def _ask_lengths(self, lately: Collection[str]) -> set[str]:
        """Read the lengths that are due, and return the streams that have something to trim according to them."""
        now = self._clock()
        pause = min(ASK_EVERY * len(self._known), MOST_ASK_EVERY)
        due = [
            (name, known)
            for name, known in self._known.items()
            if known.look_at > now and (known.ask_at <= now or name in lately)
        ]
        found = set()
        for start in range(0, len(due), ASKED_TOGETHER):
            part = due[start : start + ASKED_TOGETHER]
            replies = self._executor().execute([stream_commands.xlen(name) for name, _ in part])
            for (name, known), reply in zip(part, replies, strict=True):
                length = known.length if isinstance(reply, ReplyError) else reply
                if self._needs_trim(known, length):
                    found.add(name)
                # Streams with a changed definition are read in every turn.
                known.ask_at = now + pause if length == known.length else now
                known.length = length
        return found

    def _needs_trim(self, known: _StreamState, length: int) -> bool:
        """Say whether a stream of this length has too many entries, or may have been deleted and created again."""
        began = known.length == 0 < length and known.stream.max_age is not None
        return length < known.length or began or length > limits_of(known.stream).max_length

    def _without_groups(self, durable: Durable) -> set[str]:
        """Return the streams with durable groups that did not exist at the last trim."""
        return {
            name
            for name, groups in durable.items()
            if (known := self._known.get(name)) and not {group.encode() for group in groups} <= {*known.groups}
        }

    def _sweep(self, streams: Mapping[str, StreamDefinition], durable: Durable, found: Iterable[str]) -> None:
        """Spend a part of the time on streams that are due, and the rest on streams that have more to trim.

        Of the due streams, those that were examined least recently come first.
        """
        begun, spent = self._clock(), 0.0
        again = deque(name for name in self._busy if name in streams)
        due = {*found, *(name for name, known in self._known.items() if known.look_at <= begun)} - {*again}
        rest = deque(sorted(due, key=lambda name: (self._known[name].looked_at, name)))
        cut: dict[str, None] = {}
        while rest or again:
            looks = rest and (spent <= self._budget * LOOKING or not again)
            batch = _first_of(rest if looks else again)
            keeping = [command for name in batch for command in self._create_groups(name, durable)]
            trimming = [self._trim(streams[name], durable) for name in batch]
            replies = self._executor().execute([*keeping, *trimming])[len(keeping) :]
            for name, reply in zip(batch, replies, strict=True):
                if self._has_more(name, reply):
                    again.append(name)
                if isinstance(reply, TrimResult) and reply.cut:
                    cut[name] = None
            spent = self._clock() - begun
            if spent >= self._budget or (not again and spent >= self._budget * LOOKING):
                break
        self._busy = list(dict.fromkeys(again) | cut)

    def _create_groups(self, name: str, durable: Durable) -> list[Command]:
        """Return the commands that create the stream's missing durable groups."""
        known = self._known[name].groups
        return [
            delivery_commands.keep(name, group, start=start, run=self._lease.token)
            for group, start in durable.get(name, {}).items()
            if group.encode() not in known
        ]

    def _trim(self, stream: StreamDefinition, durable: Durable) -> Command:
        return stream_commands.trim(
            stream.name,
            limits_of(stream, self._pin_for),
            groups=self._known[stream.name].groups,
            durable=durable.get(stream.name, {}),
            room=self._room,
        )

    def _has_more(self, name: str, reply: TrimResult | ReplyError) -> bool:
        known, now = self._known[name], self._clock()
        every = max(LOOK_EVERY, LOOK_EVERY_EACH * len(self._known))
        known.looked_at, known.look_at = now, now + min(every, self._pin_for.total_seconds() / 100)
        if isinstance(reply, ReplyError):
            # Continue with the other streams.
            if self._failures.is_new(str(reply), name):
                logger.warning("the stream “%s” cannot be trimmed: %s", name, reply)
            return False
        self._failures.end(name)
        known.groups, known.length = reply.groups, reply.length
        if reply.expires_ms is not None:
            known.look_at = min(known.look_at, now + reply.expires_ms / 1000)
        return reply.more


def _first_of(waiting: deque[str]) -> list[str]:
    return [waiting.popleft() for _ in range(min(TOGETHER, len(waiting)))]


def _to_milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
