"""Tickets: a value that can be taken once, and not after its time."""

from typing import Any

from synapse.redis import keyspace
from synapse.redis.commands.base import Command


def keep(digest: str, value: bytes, *, seconds: int) -> Command:
    """Keep a value under the digest of its ticket."""
    return Command(("SET", keyspace.ticket(digest), value, "EX", seconds))


def take(digest: str) -> Command:
    """Take the value, which nobody can after that; the reply is None when there is none (Redis 6.2)."""
    return Command(("GETDEL", keyspace.ticket(digest)), parse=_value)


def _value(reply: Any) -> bytes | None:
    return reply if isinstance(reply, bytes) else None
