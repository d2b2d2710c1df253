"""The highest version number of the catalog that any process has loaded, as Redis has it.

A process that starts while the database is away can tell by it whether the snapshot that it kept is the last one.
"""

from typing import Any

from synapse.redis import keyspace
from synapse.redis.commands.base import Command


def note(number: int) -> Command:
    """Raise the number. A lower one, of a process that is late, changes nothing (`GT`, Redis 6.2)."""
    return Command(("ZADD", keyspace.CATALOG, "GT", number, "version"))


def noted() -> Command:
    """Read the number; None when none was noted."""
    return Command(("ZSCORE", keyspace.CATALOG, "version"), parse=_number)


def _number(reply: Any) -> int | None:
    return None if reply is None else int(float(reply))
