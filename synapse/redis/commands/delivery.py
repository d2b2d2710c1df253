"""The commands that move a group's events between their states.

For each group an event is in exactly one state: unread, pending with a consumer, scheduled for retry, blocked by key,
set aside as a dead letter, or done. Every move between them is one script, so that a crash at any point leaves it in
one of them (docs/consuming.md). Times are in milliseconds, by the server's clock.
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

# A lease gives out no more than about this many bytes: its answer must come in time over a slow network too.
MAX_LEASED_BYTES = 4 * 1024 * 1024
# While this many events of a group wait for a retry or for their turn, no new ones are read: one broken sink, or one
# key that does not get on, must not move a whole stream into copies.
MAX_WAITING = 100_000
# The length to which an error's text is cut.
MAX_ERROR = 1000

# The keys of a group that `parts/group.lua` declares behind the stream's, in its order.
KEPT = (
    keyspace.waiting,
    keyspace.messages,
    keyspace.counters,
    keyspace.locks,
    keyspace.dead_letters,
    keyspace.dead_letters_by_event,
)

Fate = Literal["retry", "dead", "lost", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """`created`: this run made the group. `ours`: Synapse made it, now or before, and may reclaim events that other
    consumers have held for too long. `resumed`: it was lost, and continues at its last known position."""

    created: bool
    ours: bool
    resumed: bool = False


class InFlightEvent(NamedTuple):
    """An event in flight: its entry, with names and values in turn, and the number of this attempt, from 1.

    `token` names the lease of the event; "" for one that was read, and is pending. `key` is the value by which an
    ordered group orders its events; events of one key are to be delivered one after the other. "" is none.
    """

    id: str
    parts: list[bytes]
    attempt: int
    token: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseResult:
    """The leased events, in the order of their ids.

    `lost`: how many were not leased, because their copy was gone; `dead`: because they had no attempt left.
    `next_due_ms`: after how long the next one is due (None: none is scheduled). `waiting`: how many are scheduled for
    retry or blocked by key, these included.
    """

    events: list[InFlightEvent]
    lost: int
    dead: int = 0
    next_due_ms: int | None
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitResult:
    """The result of reading an ordered group: the events to deliver, how many were read to find them (the others are
    blocked by their key), and the id of the latest entry of the stream. `blocked`: in the order of the stream an
    earlier event is not done yet, so none was read."""

    events: list[InFlightEvent]
    read: int
    last_id: str
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt: the event, the token of its lease, the error, and how long the attempt took (None: unknown).

    `delay_ms`: after how long the next one may begin; `fatal`: there is to be none. `failure`: what kind it was.
    `status`: the HTTP status that a receiver answered. `told`: the error as the delivery log has it, which must hold no
    PII.
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
    """How many events were reclaimed, and how many were lost, because they had been trimmed."""

    moved: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An event that was read and is pending: with whom, and for how long (milliseconds)."""

    consumer: str
    idle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallResult:
    """How many leases were checked, and how many of them ended."""

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
    """Make the group, beginning after the id `start`, unless it exists, and the consumer in it: `JoinResult`.

    Mode `new` changes nothing when the group exists; `again` is for a consumer that was in the group, so having to
    make it is counted, and it continues at its `checkpoint`, unless there is none or the stream is a new one. `run` is
    a text that nobody else uses: a repeated call finds by it that the group is its own. `owned`: the group is
    Synapse's, also if another program made it.
    """
    arguments: list[Argument] = [consumer, start, mode, run, int(owned)]
    return call(_JOIN, stream, group, arguments, _joined)


def keep(stream: str, group: str, *, start: str, run: str) -> Command:
    """Make the group of a bridge, unless it exists, so that its backlog is kept before the first reading: `JoinResult`.

    It begins after the id `start`; one that was lost continues where it was, or begins at the beginning.
    """
    return call(_JOIN, stream, group, ["", start, "keep", run, 1], _joined)


def checkpoint(stream: str, group: str) -> Command:
    """Note the group's position, for the case that it is lost. The reply is the id after which it would continue."""
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
    """Read at most `limit` events of an ordered group: `AdmitResult`. It does not wait for any.

    Order `key`: those with the same value of the top-level property `key` are given out one after the other; `stream`:
    all are. `together`: those that are read here are all given out, and the caller keeps them in order; else the first
    of each key is.
    """
    return call(_READ, stream, group, [consumer, limit, order, key, int(together)], _admitted)


def done(
    stream: str,
    group: str,
    ids: Sequence[str],
    *,
    counter: Literal["done", "filtered"] = "done",
    tokens: Sequence[str] = (),
    log: DoneLog | None = None,
) -> Command:
    """Acknowledge events that were delivered, or that the group filters out. They are counted under the name `counter`.

    The reply is how many of them were unacknowledged. With `tokens`, those of their leases, an event that an ordered
    group has leased to another consumer by now stays with that one, and so do the events behind it: the next of its key
    must not begin before it. With `log`, the delivery log gets a line for each of them.
    """
    consumer, took = ("", "-") if log is None else (log.consumer[:MAX_NAME], _or_dash(log.took_ms))
    attempts: Sequence[Argument] = () if log is None else log.attempts or ["-"]
    if len(set(attempts)) == 1:
        # Nearly always the first of each event, and one word says so.
        attempts = attempts[:1]
    arguments: list[Argument] = [counter, len(ids), int(bool(tokens)), consumer, took, *ids, *tokens, *attempts]
    return call(_DONE, stream, group, arguments, logs=log is not None)


def fail(stream: str, group: str, failures: Iterable[Failure], *, consumer: str = "", logs: bool = False) -> Command:
    """Report failed attempts of a consumer: each event is scheduled for retry, or becomes a dead letter when it is
    `fatal`. `logs`: the delivery log gets lines, as for every command here.

    The reply has a `Fate` for each event. A repeated report changes nothing.
    """
    arguments: list[Argument] = [consumer[:MAX_NAME]]
    for one in failures:
        error = cut(one.error, MAX_ERROR).encode("utf-8", "replace")
        told = cut(one.told, MAX_TOLD).encode("utf-8", "replace") if logs else ""
        arguments += [one.id, one.token, error, _or_dash(one.took_ms), max(0, one.delay_ms), int(one.fatal)]
        arguments += [one.failure, _or_dash(one.status), told]
    return call(_FAIL, stream, group, arguments, lambda reply: [fate.decode() for fate in reply], logs=logs)


def release(stream: str, group: str, consumer: str, held: Iterable[tuple[str, str]]) -> Command:
    """Release events that a consumer has and did not begin: they are due at once, and no attempt is counted.

    `held` are their ids, with the token of the lease. The reply is how many it had.
    """
    return call(_RELEASE, stream, group, [consumer, *chain.from_iterable(held)])


def extend(stream: str, group: str, ids: Sequence[str], *, lease_ms: int, consumer: str = "") -> Command:
    """Extend the leases of events in flight, or only those of this consumer, to `lease_ms` from now.

    The caller need not know the tokens. The reply says for each whether a consumer holds it.
    """
    return call(
        _EXTEND,
        stream,
        group,
        [secrets.token_hex(8), consumer, lease_ms, *ids],
        lambda reply: [answer == 1 for answer in reply],
    )


def find_holders(stream: str, group: str, ids: Sequence[str]) -> list[Command]:
    """Return the commands that find the holders of events in flight: first their leases, a list of (token, attempt)
    with "" for none; then, of each event, `Pending`, or None when it is not pending."""
    fields = [field for id_ in ids for field in (f"{id_}:tok", f"{id_}:att")]
    leases = Command(("HMGET", keyspace.messages(stream, group), *fields), parse=_leases)
    return [leases, *(Command(("XPENDING", stream, group, id_, id_, 1), parse=_pending) for id_ in ids)]


def reclaim(stream: str, group: str, *, idle_ms: int, limit: int, consumer: str = "", logs: bool = False) -> Command:
    """Reclaim at most `limit` events that a consumer (or any) has had pending for `idle_ms` or longer."""
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
    """Lease at most `limit` events scheduled for retry that are due, for `lease_ms`: `LeaseResult`.

    Events that had `most_attempts` (0: any number), the last one without a reported end, are set aside. `together`: the
    events blocked behind an event are leased with it, and the caller keeps them in order.
    """
    # No other lease has this token, not even one of the same consumer: reports on earlier leases can be told from this
    # one's.
    token = f"{secrets.token_hex(8)} {consumer}"
    arguments: list[Argument] = [token, limit, lease_ms, MAX_LEASED_BYTES, most_attempts, int(together)]
    return call(_LEASE, stream, group, arguments, lambda reply: _leased(reply, token), logs=logs)


def recall(
    stream: str, group: str, consumer: str, *, lease_ms: int, offset: int, limit: int, logs: bool = False
) -> Command:
    """End leases of a dead consumer, checking `limit` of the group's leases from `offset` on: `RecallResult`."""
    arguments: list[Argument] = [consumer, lease_ms, offset, limit]
    return call(
        _RECALL, stream, group, arguments, lambda reply: RecallResult(looked_at=reply[0], ended=reply[1]), logs=logs
    )


def leave(stream: str, group: str, consumer: str) -> Command:
    """Remove a consumer that has nothing pending. The reply says whether it was removed."""
    return _LEAVE.call([stream], [group, consumer], parse=lambda reply: reply == 1)


def clean(stream: str, group: str, *, keep: str, idle_ms: int) -> Command:
    """Remove the consumers but `keep` that have nothing pending and were silent for `idle_ms`, from a group of ours.

    The reply is how many there were.
    """
    return call(_CLEAN, stream, group, [keep, idle_ms])


def netstring(part: bytes) -> bytes:
    """Return a part of a copy as the scripts store it: `<length>:<bytes>,`."""
    return b"%d:%b," % (len(part), part)


def netstrings(body: bytes) -> list[bytes]:
    """Return the parts of a stored copy: netstrings (`<length>:<bytes>,`), one after the other."""
    parts = []
    at = 0
    while at < len(body):
        colon = body.index(b":", at)
        end = colon + 1 + int(body[at:colon])
        parts.append(body[colon + 1 : end])
        at = end + 1
    return parts


def form_of(body: bytes) -> str:
    """Return the digest of a stored copy by which forms of an event are told apart, as the scripts have it."""
    # It is the one digest that Lua has in every version of Redis; no secret rests on it.
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
    """Return the call of a script that begins with `parts/group.lua`. With `logs` it has the delivery log among its
    keys, and writes to it."""
    log = [keyspace.delivery_log(stream, group)] if logs else []
    return script.call(
        [stream, *(name(stream, group) for name in KEPT), *log],
        [group, keyspace.queues(stream), *arguments],
        parse=parse,
    )


def _or_dash(value: int | None) -> Argument:
    return "-" if value is None else max(0, value)


def _joined(reply: Any) -> JoinResult:
    created, ours, resumed = reply
    return JoinResult(created=created == 1, ours=ours == 1, resumed=resumed == 1)


def _leases(reply: Any) -> list[tuple[str, int]]:
    texts = [found.decode("utf-8", "replace") if found else "" for found in reply]
    return [(token, int(number or 0)) for token, number in zip(texts[::2], texts[1::2], strict=True)]


def _pending(reply: Any) -> Pending | None:
    return Pending(consumer=reply[0][1].decode("utf-8", "replace"), idle=reply[0][2]) if reply else None


def _admitted(reply: Any) -> AdmitResult:
    read_, last_id, *rows = reply
    events = [InFlightEvent(id=id_.decode(), parts=parts, attempt=1, key=key.decode()) for id_, parts, key in rows]
    return AdmitResult(events=events, read=max(0, read_), last_id=last_id.decode(), blocked=read_ < 0)


def _leased(reply: Any, token: str) -> LeaseResult:
    lost, dead, next_due, waiting, *rows = reply
    events = [
        InFlightEvent(id=id_.decode(), parts=netstrings(body), attempt=number, token=token, key=key.decode())
        for id_, body, number, key in rows
    ]
    # Equally due ones come sorted as text; a person reads them in the order in which they were published.
    events.sort(key=lambda event: tuple(map(int, event.id.split("-"))))
    return LeaseResult(
        events=events, lost=lost, dead=dead, next_due_ms=None if next_due < 0 else next_due, waiting=waiting
    )
