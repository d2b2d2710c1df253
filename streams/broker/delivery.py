"""How a group's events change place, as commands.

For each group an event is in exactly one place: unread, pending with a consumer, waiting to be given out again, or
done. Every move between them is one script, so that a crash at any point leaves it in one of them (docs/consuming.md).
Times are in milliseconds, by the server's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streams.broker import keys
from streams.broker.command import Command
from streams.broker.script import load

_JOIN, _DONE, _REAP = load("join"), load("done"), load("reap")
_LEASE, _RECALL, _LEAVE = load("lease"), load("recall"), load("leave")
_RELEASE = load("release")

# A lease gives out no more than about this many bytes: its answer must come in time over a slow network too.
MAX_LEASED_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """`created`: this run made the group. `ours`: Synapse made it, now or before, and may take back what others in it
    have had for too long."""

    created: bool
    ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An event in hand: its entry, with names and values in turn, and the number of this attempt, from 1."""

    id: str
    parts: list[bytes]
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """The events that were given out, in the order of their ids; how many were lost, because their copy was gone; and
    after how long the next one is due (None: none waits)."""

    events: list[Held]
    lost: int
    next_due_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """How many events were taken back, and how many were lost, because they had been trimmed."""

    moved: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """How many leases were looked at, and how many of them ended."""

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
    """Make the group, beginning after the id `start`, unless it exists, and the consumer in it: `Joined`.

    Mode `new` changes nothing when the group exists; `again` is for a consumer that was in the group, so having to
    make it is counted. `run` is a text that nobody else uses: a repeated call finds by it that the group is its own.
    `owned`: the group is Synapse's, whoever made it.
    """
    return _JOIN.call(
        [stream, keys.counters(stream, group)],
        [group, consumer, start, mode, run, int(owned)],
        parse=lambda reply: Joined(created=reply[0] == 1, ours=reply[1] == 1),
    )


def done(stream: str, group: str, ids: Sequence[str], *, counter: Literal["done", "filtered"] = "done") -> Command:
    """Settle events that were delivered, or that the group does not want. They are counted under the name `counter`.

    The reply is how many of them were not settled yet.
    """
    return _DONE.call(_keys(stream, group), [group, counter, *ids])


def release(stream: str, group: str, consumer: str, ids: Sequence[str]) -> Command:
    """Give back events that a consumer has and did not begin: they wait, due at once, and no attempt is charged.

    The reply is how many it had.
    """
    return _RELEASE.call(_keys(stream, group), [group, consumer, *ids])


def reap(stream: str, group: str, *, idle_ms: int, limit: int, consumer: str = "") -> Command:
    """Take back what a consumer (or any) has had pending for `idle_ms` or longer, at most `limit`: `Reaped`."""
    return _REAP.call(
        _keys(stream, group),
        [group, idle_ms, limit, consumer],
        parse=lambda reply: Reaped(moved=reply[0], lost=reply[1]),
    )


def lease(stream: str, group: str, *, token: str, limit: int, lease_ms: int) -> Command:
    """Give out at most `limit` waiting events that are due; they are due again after `lease_ms`: `Leased`."""
    _, *rest = _keys(stream, group)
    return _LEASE.call(rest, [token, limit, lease_ms, MAX_LEASED_BYTES], parse=_leased)


def recall(stream: str, group: str, *, token: str, lease_ms: int, offset: int, limit: int) -> Command:
    """End leases of a consumer that is gone, looking at `limit` of the group's leases from `offset` on: `Recalled`."""
    _, waiting, messages, _ = _keys(stream, group)
    return _RECALL.call(
        [waiting, messages],
        [token, lease_ms, offset, limit],
        parse=lambda reply: Recalled(looked_at=reply[0], ended=reply[1]),
    )


def leave(stream: str, group: str, consumer: str) -> Command:
    """Remove a consumer that has nothing pending. The reply says whether it was removed."""
    return _LEAVE.call([stream], [group, consumer], parse=lambda reply: reply == 1)


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


def _keys(stream: str, group: str) -> list[str]:
    return [stream, keys.waiting(stream, group), keys.messages(stream, group), keys.counters(stream, group)]


def _leased(reply: Any) -> Leased:
    lost, next_due, *rows = reply
    events = [Held(id=id_.decode(), parts=netstrings(body), attempt=attempt) for id_, body, attempt in rows]
    # Equally due ones come sorted as text; a person reads them in the order in which they were published.
    events.sort(key=lambda event: tuple(map(int, event.id.split("-"))))
    return Leased(events=events, lost=lost, next_due_ms=None if next_due < 0 else next_due)
