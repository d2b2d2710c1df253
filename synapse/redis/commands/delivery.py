"""The commands that move a group's events between their states.

For each group an event is in exactly one state: unread, pending with a consumer, scheduled for retry, blocked by key,
dead, or done. Every move between states is one script, so that after a crash the event is in one of them
(docs/consuming.md). Times are in milliseconds, by the server's clock.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

from synapse.formats.text import cut
from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, Script, load_script, unparsed
from synapse.redis.commands.delivery_log import MAX_ERROR as MAX_TOLD
from synapse.redis.commands.delivery_log import MAX_NAME, DoneLog

_JOIN, _LEAVE, _CLEAN = load_script("join"), load_script("leave"), load_script("clean")
_READ, _DONE, _FAIL = load_script("read"), load_script("done"), load_script("fail")
_RECLAIM, _LEASE, _RECALL = load_script("reclaim"), load_script("lease"), load_script("recall")
_RELEASE, _EXTEND = load_script("release"), load_script("extend")
_CHECKPOINT = load_script("checkpoint")

# The approximate limit on the bytes of one lease: its reply must arrive in time over a slow network, too.
MAX_LEASED_BYTES = 4 * 1024 * 1024
# While this many events of a group wait for a retry or for their key, no new ones are read: one broken sink or one
# stuck key must not copy a whole stream.
MAX_WAITING = 100_000
# The length to which the text of an error is cut.
MAX_ERROR = 1000

# The keys of a group that follow the stream's in KEYS, in the order of `parts/group.lua`.
KEPT = (
    keyspace.waiting,
    keyspace.messages,
    keyspace.counters,
    keyspace.locks,
    keyspace.dead_letters,
    keyspace.dead_letters_by_event,
)

FailureResult = Literal["retry", "dead", "lost", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """The result of joining a group.

    `created` is true when this call created the group. `ours` is true when Synapse created it, now or earlier, and so
    may reclaim events that other consumers have held for too long. `resumed` is true when the group had been lost and
    continues at its last known position.
    """

    created: bool
    ours: bool
    resumed: bool = False


class InFlightEvent(NamedTuple):
    """An event in flight: its entry, with alternating names and values, and the number of this attempt, from 1.

    `token` names the lease of the event; "" for an event that was read and is pending. `key` is the value by which an
    ordered group orders its events: events with the same key are delivered one after the other. "" is no key.
    """

    id: str
    parts: list[bytes]
    attempt: int
    token: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseResult:
    """The leased events, in the order of their ids.

    `lost` is the number of events that were not leased because their copy was gone, `dead` because they had no attempt
    left. `next_due_ms` is the time until the next event is due, None when none is scheduled. `waiting` is the number of
    events that are scheduled for retry or blocked by key, the leased ones included.
    """

    events: list[InFlightEvent]
    lost: int
    dead: int = 0
    next_due_ms: int | None
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitResult:
    """The result of reading an ordered group.

    `events` are the ones to deliver. `read` is the number that were read to find them; the others are blocked by their
    key. `last_id` is the id of the latest entry of the stream. `blocked` is true when nothing was read, because in the
    order of the stream an earlier event is not done yet.
    """

    events: list[InFlightEvent]
    read: int
    last_id: str
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt.

    `token` is that of the event's lease. `took_ms` is the duration of the attempt, None when unknown. `delay_ms` is the
    time before the next attempt; there is none when it is `fatal`. `failure` is the kind of failure. `status` is the
    HTTP status of the receiver's response. `told` is the error for the delivery log, which must hold no PII.
    """

    id: str
    token: str
    error: str
    took_ms: int | None
    delay_ms: int
    fatal: bool = False
    failure: str = "other"
    status: int | None = None
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReclaimResult:
    """The number of events that were reclaimed, and of those that were lost because they had been trimmed."""

    moved: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An event that was read and is pending: its consumer, and the milliseconds since its delivery."""

    consumer: str
    idle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallResult:
    """The number of leases that were checked, and of those that ended."""

    looked_at: int
    ended: int


def join(
    stream: str,
    group: str,
    consumer: str,
    *,
    start: str,
    mode: Literal["any", "new", "again"],
    run: str,
    owned: bool = False,
) -> Command:
    """Create the group after the id `start`, unless it exists, and the consumer in it: `JoinResult`.

    The mode `new` changes nothing when the group exists. `again` is for a consumer that was in the group: a missing
    group is counted as lost, and continues at its `checkpoint`, unless there is none or the stream was created again.
    `run` is a unique text by which a repeated call recognizes a group that it created. `owned` makes the group
    Synapse's, even when another program created it.
    """
    arguments: list[Argument] = [consumer, start, mode, run, int(owned)]
    return call(_JOIN, stream, group, arguments, _parse_join)


def keep(stream: str, group: str, *, start: str, run: str) -> Command:
    """Create the group of a bridge, unless it exists, so that its backlog is kept before the first read: `JoinResult`.

    A new group begins after the id `start`. A lost one continues at its checkpoint, or begins at the start of the
    stream.
    """
    return call(_JOIN, stream, group, ["", start, "keep", run, 1], _parse_join)


def checkpoint(stream: str, group: str) -> Command:
    """Record the group's position, in case the group is lost. The reply is the id after which it would continue."""
    return call(_CHECKPOINT, stream, group, [], lambda reply: str(reply.decode()))


def read(
    stream: str,
    group: str,
    consumer: str,
    *,
    limit: int,
    order: Literal["key", "stream"],
    key: str,
    together: bool = False,
) -> Command:
    """Read at most `limit` events of an ordered group, without waiting: `AdmitResult`.

    With order `key`, events with the same value of the top-level property `key` are delivered one after the other; with
    `stream`, all events are. With `together`, the reply has all events that were read, and the caller delivers them in
    order; otherwise it has the first event of each key.
    """
    return call(_READ, stream, group, [consumer, limit, order, key, int(together)], _parse_admission)


def done(
    stream: str,
    group: str,
    ids: Sequence[str],
    *,
    counter: Literal["done", "filtered"] = "done",
    tokens: Sequence[str] = (),
    log: DoneLog | None = None,
) -> Command:
    """Acknowledge events that were delivered or that the group filters out. They are counted under the name `counter`.

    The reply is the number that were unacknowledged. `tokens` are those of the events' leases: an event that an ordered
    group has meanwhile leased to another consumer is left to it, and so are the events behind it, because the next
    event of a key must not begin earlier. With `log`, the delivery log gets a line for each event.
    """
    consumer, took = ("", "-") if log is None else (log.consumer[:MAX_NAME], _or_dash(log.took_ms))
    attempts: Sequence[Argument] = () if log is None else log.attempts or ["-"]
    if len(set(attempts)) == 1:
        # Nearly always the first attempt of each event; then one word is enough.
        attempts = attempts[:1]
    arguments: list[Argument] = [counter, len(ids), int(bool(tokens)), consumer, took, *ids, *tokens, *attempts]
    return call(_DONE, stream, group, arguments, logs=log is not None)


def fail(stream: str, group: str, failures: Iterable[Failure], *, consumer: str = "", logs: bool = False) -> Command:
    """Report failed attempts of a consumer: each event is scheduled for retry, or becomes a dead letter when it is
    `fatal`.

    The reply has a `FailureResult` for each event. A repeated report changes nothing. With `logs`, here and in the
    other commands, the delivery log gets lines.
    """
    arguments: list[Argument] = [consumer[:MAX_NAME]]
    for one in failures:
        error = cut(one.error, MAX_ERROR).encode("utf-8", "replace")
        told = cut(one.told, MAX_TOLD).encode("utf-8", "replace") if logs else ""
        arguments += [one.id, one.token, error, _or_dash(one.took_ms), max(0, one.delay_ms), int(one.fatal)]
        arguments += [one.failure, _or_dash(one.status), told]
    return call(_FAIL, stream, group, arguments, lambda reply: [fate.decode() for fate in reply], logs=logs)


def release(stream: str, group: str, consumer: str, held: Iterable[tuple[str, str]]) -> Command:
    """Release events that a consumer holds and did not begin. They are due at once, and no attempt is counted.

    `held` are the ids, each with the token of its lease. The reply is the number that the consumer held.
    """
    return call(_RELEASE, stream, group, [consumer, *chain.from_iterable(held)])


def extend(stream: str, group: str, ids: Sequence[str], *, lease_ms: int, consumer: str = "") -> Command:
    """Extend the leases of events in flight, or only those of one consumer, to `lease_ms` from now.

    The caller need not know the tokens. The reply has a Boolean for each event: whether a consumer holds it.
    """
    return call(
        _EXTEND,
        stream,
        group,
        [secrets.token_hex(8), consumer, lease_ms, *ids],
        lambda reply: [answer == 1 for answer in reply],
    )


def find_holders(stream: str, group: str, ids: Sequence[str]) -> list[Command]:
    """Return the commands that find the holders of events: the first reads the leases, a list of (token, attempt) with
    the token "" for none; the others read `Pending` for each event, or None when it is not pending.
    """
    fields = [field for id_ in ids for field in (f"{id_}:tok", f"{id_}:att")]
    leases = Command(("HMGET", keyspace.messages(stream, group), *fields), parse=_parse_leases)
    return [leases, *(Command(("XPENDING", stream, group, id_, id_, 1), parse=_parse_pending) for id_ in ids)]


def reclaim(stream: str, group: str, *, idle_ms: int, limit: int, consumer: str = "", logs: bool = False) -> Command:
    """Reclaim at most `limit` events that a consumer (any consumer for "") has had pending for `idle_ms` or longer."""
    arguments: list[Argument] = [idle_ms, limit, consumer]
    return call(
        _RECLAIM, stream, group, arguments, lambda reply: ReclaimResult(moved=reply[0], lost=reply[1]), logs=logs
    )


def lease(
    stream: str,
    group: str,
    consumer: str,
    *,
    limit: int,
    lease_ms: int,
    most_attempts: int = 0,
    together: bool = False,
    logs: bool = False,
) -> Command:
    """Lease at most `limit` events that are scheduled for retry and due, for `lease_ms`: `LeaseResult`.

    Events that have used `most_attempts` (0 for any number), the last of them without a reported end, become dead
    letters. With `together`, the events blocked behind an event are leased with it, and the caller delivers them in
    order.
    """
    # No other lease has this token, not even one of the same consumer, so that reports on earlier leases are
    # recognized.
    token = f"{secrets.token_hex(8)} {consumer}"
    arguments: list[Argument] = [token, limit, lease_ms, MAX_LEASED_BYTES, most_attempts, int(together)]
    return call(_LEASE, stream, group, arguments, lambda reply: _parse_lease(reply, token), logs=logs)


def recall(
    stream: str, group: str, consumer: str, *, lease_ms: int, offset: int, limit: int, logs: bool = False
) -> Command:
    """End the leases of a dead consumer, checking `limit` of the group's leases from `offset` on: `RecallResult`."""
    arguments: list[Argument] = [consumer, lease_ms, offset, limit]
    return call(
        _RECALL, stream, group, arguments, lambda reply: RecallResult(looked_at=reply[0], ended=reply[1]), logs=logs
    )


def leave(stream: str, group: str, consumer: str) -> Command:
    """Remove a consumer without pending events. The reply is whether it was removed."""
    return _LEAVE.call([stream], [group, consumer], parse=lambda reply: reply == 1)


def clean(stream: str, group: str, *, keep: str, idle_ms: int) -> Command:
    """Remove the consumers, except `keep`, that have nothing pending and were silent for `idle_ms`, from a group that
    Synapse created.

    The reply is how many there were.
    """
    return call(_CLEAN, stream, group, [keep, idle_ms])


def netstring(part: bytes) -> bytes:
    """Encode a part of a copy as the scripts store it: `<length>:<bytes>,`."""
    return b"%d:%b," % (len(part), part)


def netstrings(body: bytes) -> list[bytes]:
    """Parse a stored copy to its parts: netstrings (`<length>:<bytes>,`), one after the other."""
    parts = []
    at = 0
    while at < len(body):
        colon = body.index(b":", at)
        end = colon + 1 + int(body[at:colon])
        parts.append(body[colon + 1 : end])
        at = end + 1
    return parts


def form_of(body: bytes) -> str:
    """Return the digest of a stored copy, which identifies the form of an event, as the scripts compute it."""
    # SHA-1 is the one digest that Lua has in every version of Redis; no secret depends on it.
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def call(
    script: Script,
    stream: str,
    group: str,
    arguments: Sequence[Argument],
    parse: Callable[[Any], Any] = unparsed,
    *,
    logs: bool = False,
) -> Command:
    """Return the call of a script that begins with `parts/group.lua`. With `logs`, the delivery log is among its keys,
    and the script writes to it.
    """
    log = [keyspace.delivery_log(stream, group)] if logs else []
    return script.call(
        [stream, *(name(stream, group) for name in KEPT), *log],
        [group, keyspace.queues(stream), *arguments],
        parse=parse,
    )


def _or_dash(value: int | None) -> Argument:
    return "-" if value is None else max(0, value)


def _parse_join(reply: Any) -> JoinResult:
    created, ours, resumed = reply
    return JoinResult(created=created == 1, ours=ours == 1, resumed=resumed == 1)


def _parse_leases(reply: Any) -> list[tuple[str, int]]:
    texts = [found.decode("utf-8", "replace") if found else "" for found in reply]
    return [(token, int(number or 0)) for token, number in zip(texts[::2], texts[1::2], strict=True)]


def _parse_pending(reply: Any) -> Pending | None:
    return Pending(consumer=reply[0][1].decode("utf-8", "replace"), idle=reply[0][2]) if reply else None


def _parse_admission(reply: Any) -> AdmitResult:
    read_, last_id, *rows = reply
    events = [InFlightEvent(id=id_.decode(), parts=parts, attempt=1, key=key.decode()) for id_, parts, key in rows]
    return AdmitResult(events=events, read=max(0, read_), last_id=last_id.decode(), blocked=read_ < 0)


def _parse_lease(reply: Any, token: str) -> LeaseResult:
    lost, dead, next_due, waiting, *rows = reply
    events = [
        InFlightEvent(id=id_.decode(), parts=netstrings(body), attempt=number, token=token, key=key.decode())
        for id_, body, number, key in rows
    ]
    # Events that are due at the same time come sorted as text; people expect them in the order of publishing.
    events.sort(key=lambda event: tuple(map(int, event.id.split("-"))))
    return LeaseResult(
        events=events, lost=lost, dead=dead, next_due_ms=None if next_due < 0 else next_due, waiting=waiting
    )
