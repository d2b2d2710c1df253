"""The janitor: keeps every stream within its limits. Publishing never trims.

One janitor works at a time, over all processes: it holds a lease in Redis that expires when it is not renewed. The
lease only saves work. Each cut is one atomic script, so a janitor that was stopped and wakes beside its successor does
no harm. The rules are told in docs/retention.md.

What a group is owed can only be kept when there is a group. So the janitor makes those of bridges that did not run yet,
or do not run, before it cuts anything.
"""

import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from streams.broker import Command, ReplyError, SyncExecutor, delivery, retention
from streams.broker.command import value
from streams.broker.retention import Limits, Trimmed
from streams.definitions import StreamDefinition

logger = logging.getLogger(__name__)

# How long a group that nobody declared durable holds entries back after it was last heard of.
PIN_FOR = timedelta(hours=24)
# A killed janitor is replaced when its lease ends: two turns without a renewal.
LEASE_MS = 2_000
# How many entries one call of the script may cut, and how many calls go out together: Redis serves nobody else until
# all of them are done, which takes milliseconds.
ROOM = 1_000
TOGETHER = 8
# How long one turn may work, in seconds, so that the lease is renewed in time; and the part of it that may go into
# looking for what is to be cut. A catalog of thousands of idle streams must not keep a core busy.
BUDGET = 0.5
LOOKING = 0.2

# Groups that hold back what they owe, by stream, each with the id after which it begins when it is not there.
Durable = Mapping[str, Mapping[str, str]]

_providers: list[Callable[[], Durable]] = []


def on_durable_groups(provider: Callable[[], Durable]) -> None:
    """Register who knows of durable groups, by stream: called with every turn, so it answers from memory.

    When it raises, nothing is trimmed in that turn: better too much kept than an owed event cut.
    """
    _providers.append(provider)


def durable_groups() -> Durable:
    """Return the groups that hold back what they owe however long they are silent, by stream."""
    found: dict[str, dict[str, str]] = {}
    for provider in _providers:
        for stream, groups in provider().items():
            found.setdefault(stream, {}).update(groups)
    return found


def limits_of(stream: StreamDefinition, pin_for: timedelta = PIN_FOR) -> Limits:
    """Return what the stream may keep.

    A stream that refuses new events when it is full keeps its last tenth free of what nobody owes: history alone must
    never make publishers wait.
    """
    rejects = stream.when_full == "reject"
    return Limits(
        max_length=min(stream.max_length, stream.hard_length * 9 // 10 if rejects else stream.hard_length),
        max_age_ms=_milliseconds(stream.max_age) if stream.max_age else 0,
        hard_length=0 if rejects else stream.hard_length,
        pin_for_ms=_milliseconds(pin_for),
    )


class Janitor:
    """Trims the streams, a bounded piece of each in turn, as long as it holds the lease.

    `streams` returns the streams of the catalog by name, `durable` their durable groups.
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
    ) -> None:
        self._executor = executor
        self._streams = streams
        self._durable = durable
        self._pin_for = pin_for
        self._room = room
        self._budget = budget
        self._token = secrets.token_hex(8)
        self._groups: dict[str, tuple[bytes, ...]] = {}
        self._complaints: dict[str, str] = {}
        self._first = ""
        # What was cut in the last turn, or was left to be cut: it is looked at in every turn.
        self._busy: list[str] = []

    def step(self) -> bool:
        """Do one turn: trim for as long as there is something to trim and time is left.

        Return whether this process is the janitor now.

        Raises:
            Unavailable: when Redis cannot be used.
            ReplyError: when Redis refuses the lease.
        """
        # The process belongs to the name: a forked child has the same token.
        owner = f"{socket.gethostname()}:{os.getpid()}:{self._token}"
        (held,) = self._executor().execute([retention.hold_janitor_lease(owner, ttl_ms=LEASE_MS)])
        if not value(held):
            return False
        self._sweep(self._streams(), self._durable())
        return True

    def _sweep(self, streams: Mapping[str, StreamDefinition], durable: Durable) -> None:
        """Look at the streams in turn for a part of the time, and trim those that have much to cut for the rest of it.

        The next turn begins where this one stopped.
        """
        begun, spent = time.monotonic(), 0.0
        again = deque(name for name in self._busy if name in streams)
        known_busy = frozenset(again)
        rest = deque(name for name in self._in_turn(streams) if name not in known_busy)
        cut: dict[str, None] = {}
        while rest or again:
            looks = rest and (spent <= self._budget * LOOKING or not again)
            batch = _first_of(rest if looks else again)
            keeping = [command for name in batch for command in self._keep(name, durable)]
            trimming = [self._trim(streams[name], durable) for name in batch]
            replies = self._executor().execute([*keeping, *trimming])[len(keeping) :]
            for name, reply in zip(batch, replies, strict=True):
                if self._has_more(name, reply):
                    again.append(name)
                if isinstance(reply, Trimmed) and reply.cut:
                    cut[name] = None
            spent = time.monotonic() - begun
            if spent >= self._budget or (not again and spent >= self._budget * LOOKING):
                break
        self._first = rest[0] if rest else ""
        self._busy = list(dict.fromkeys(again) | cut)

    def _in_turn(self, streams: Mapping[str, StreamDefinition]) -> Sequence[str]:
        names = sorted(streams)
        start = names.index(self._first) if self._first in streams else 0
        return names[start:] + names[:start]

    def _keep(self, name: str, durable: Durable) -> list[Command]:
        """Return what makes the stream's durable groups that were not there when it was last looked at."""
        known = self._groups.get(name, ())
        return [
            delivery.keep(name, group, start=start, run=self._token)
            for group, start in durable.get(name, {}).items()
            if group.encode() not in known
        ]

    def _trim(self, stream: StreamDefinition, durable: Durable) -> Command:
        return retention.trim(
            stream.name,
            limits_of(stream, self._pin_for),
            groups=self._groups.get(stream.name, ()),
            durable=durable.get(stream.name, {}),
            room=self._room,
        )

    def _has_more(self, name: str, reply: Trimmed | ReplyError) -> bool:
        if isinstance(reply, ReplyError):
            # The others go on; the same complaint is made once.
            if self._complaints.get(name) != str(reply):
                logger.warning("the stream “%s” cannot be trimmed: %s", name, reply)
            self._complaints[name] = str(reply)
            return False
        self._complaints.pop(name, None)
        self._groups[name] = reply.groups
        return reply.more


def _first_of(waiting: deque[str]) -> list[str]:
    return [waiting.popleft() for _ in range(min(TOGETHER, len(waiting)))]


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
