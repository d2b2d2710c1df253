"""The janitor's command: trim a stream to its limits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_TRIM = load_script("trim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a stream.

    `max_length` and `max_age_ms` (0: any age) limit entries that no group needs; past `hard_length` (0: no limit)
    unacknowledged entries go too. A group that is not durable holds nothing back after a silence of `pin_for_ms`.
    """

    max_length: int
    max_age_ms: int = 0
    hard_length: int = 0
    pin_for_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimResult:
    """The result of one call: how many entries it cut, whether there is more to do at once, and the stream's groups.

    `length`: how many entries are left. `expires_ms`: after how long the oldest of them is too old; None for an empty
    stream, or without a maximum age.
    """

    cut: int
    more: bool
    length: int
    expires_ms: int | None
    groups: tuple[bytes, ...]


def trim(
    stream: str, limits: Limits, *, groups: Sequence[bytes] = (), durable: Collection[str] = (), room: int
) -> Command:
    """Trim at most `room` entries by which a stream exceeds its limits; the reply is a `TrimResult`.

    `groups` are the stream's groups as the last reply named them: their counters have to be declared. When one is
    missing nothing is cut, and the reply names them all. Names are bytes because other programs may use any.
    """
    arguments: list[Argument] = [
        limits.max_length,
        limits.max_age_ms,
        limits.hard_length,
        limits.pin_for_ms,
        room,
    ]
    counters = []
    for group in groups:
        # As everywhere that a group's counters are shown: a name that is no text is read with replacements.
        name = group.decode("utf-8", "replace")
        counters.append(keyspace.counters(stream, name))
        arguments += [group, int(name in durable)]
    return _TRIM.call([stream, keyspace.stats(stream), keyspace.pins(stream), *counters], arguments, parse=_trimmed)


def _trimmed(reply: Any) -> TrimResult:
    cut, more, length, expires, groups = reply
    return TrimResult(
        cut=cut, more=bool(more), length=length, expires_ms=None if expires < 0 else expires, groups=tuple(groups)
    )
