"""Values that all processes share and that belong to no stream: the catalog's version number, token buckets, and
tickets.

The catalog's number is the highest version that any process has loaded. A process that starts while the database is
unavailable compares it with its saved snapshot, to know whether that is the latest.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Command, load_script


def note_catalog_number(number: int) -> Command:
    """Raise the catalog's number. A lower number, from a process that is behind, changes nothing (`GT`, Redis 6.2)."""
    return Command(("ZADD", keyspace.CATALOG, "GT", number, "version"))


def catalog_number() -> Command:
    """Read the catalog's number; None when none was recorded."""
    words = ("ZSCORE", keyspace.CATALOG, "version")
    return Command(words, parse=lambda reply: None if reply is None else int(float(reply)))


_TAKE = load_script("take_token")
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResult:
    """The result of taking a token.

    `allowed` is whether there was one. `left` is the number of tokens that are left. `again` and `full` are the seconds
    until there is a token, and until the bucket is full.
    """

    allowed: bool
    left: int
    again: float
    full: float


def take_token(kind: str, whose: str, *, count: int, seconds: int) -> Command:
    """Take a token from a caller's bucket, which holds `count` tokens and fills within `seconds`: `TokenResult`."""
    digest = hashlib.sha256(whose.encode()).hexdigest()[:32]
    return _TAKE.call([keyspace.bucket(kind, digest)], [count, seconds * _MICROSECONDS], parse=_parse_token)


def _parse_token(reply: Any) -> TokenResult:
    allowed, left, again, full = reply
    return TokenResult(allowed=bool(allowed), left=left, again=again / _MICROSECONDS, full=full / _MICROSECONDS)


def keep_ticket(digest: str, value: bytes, *, seconds: int) -> Command:
    """Store a value under the digest of its ticket."""
    return Command(("SET", keyspace.ticket(digest), value, "EX", seconds))


def take_ticket(digest: str) -> Command:
    """Read a ticket's value and delete it (Redis 6.2). The reply is None when there is none."""
    words = ("GETDEL", keyspace.ticket(digest))
    return Command(words, parse=lambda reply: reply if isinstance(reply, bytes) else None)
