"""Values that all processes share and that belong to no stream: the catalog's number, buckets of tokens, tickets.

The number is the highest version of the catalog that any process has loaded: a process that starts while the database
is away can tell by it whether the snapshot that it kept is the last one.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Command, load_script


def note_catalog_number(number: int) -> Command:
    """Raise the number. A lower one, of a process that is late, changes nothing (`GT`, Redis 6.2)."""
    return Command(("ZADD", keyspace.CATALOG, "GT", number, "version"))


def catalog_number() -> Command:
    """Read the number; None when none was noted."""
    words = ("ZSCORE", keyspace.CATALOG, "version")
    return Command(words, parse=lambda reply: None if reply is None else int(float(reply)))


_TAKE = load_script("take_token")
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResult:
    """Whether there was a token, how many are `left`, and in how many seconds there is one `again`, and all are."""

    allowed: bool
    left: int
    again: float
    full: float


def take_token(kind: str, whose: str, *, count: int, seconds: int) -> Command:
    """Take a token from the bucket of a caller, which holds `count` and fills in `seconds`: `TokenResult`."""
    digest = hashlib.sha256(whose.encode()).hexdigest()[:32]
    return _TAKE.call([keyspace.bucket(kind, digest)], [count, seconds * _MICROSECONDS], parse=_taken)


def _taken(reply: Any) -> TokenResult:
    allowed, left, again, full = reply
    return TokenResult(allowed=bool(allowed), left=left, again=again / _MICROSECONDS, full=full / _MICROSECONDS)


def keep_ticket(digest: str, value: bytes, *, seconds: int) -> Command:
    """Keep a value under the digest of its ticket."""
    return Command(("SET", keyspace.ticket(digest), value, "EX", seconds))


def take_ticket(digest: str) -> Command:
    """Read the value and delete it (Redis 6.2); the reply is None when there is none."""
    words = ("GETDEL", keyspace.ticket(digest))
    return Command(words, parse=lambda reply: reply if isinstance(reply, bytes) else None)
