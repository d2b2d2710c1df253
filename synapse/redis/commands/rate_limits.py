"""Taking tokens from buckets that all processes share, as a command."""

import hashlib
from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.commands.base import Command
from synapse.redis.script import load

_TAKE = load("take_token")
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Whether there was a token, how many are `left`, and in how many seconds there is one `again`, and all are."""

    allowed: bool
    left: int
    again: float
    full: float


def take_token(kind: str, whose: str, *, count: int, seconds: int) -> Command:
    """Take a token from the bucket of a caller, which holds `count` and fills in `seconds`: `Taken`."""
    digest = hashlib.sha256(whose.encode()).hexdigest()[:32]
    return _TAKE.call([keyspace.bucket(kind, digest)], [count, seconds * _MICROSECONDS], parse=_taken)


def _taken(reply: Any) -> Taken:
    allowed, left, again, full = reply
    return Taken(allowed=bool(allowed), left=left, again=again / _MICROSECONDS, full=full / _MICROSECONDS)
