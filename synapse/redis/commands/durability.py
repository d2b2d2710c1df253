"""Waiting until what was written is safe in more than the server's memory.

Both count what their own connection wrote before, and nothing else; both answer with a count, also when the time was
over before it was reached. Inside MULTI they would not wait at all.
"""

from typing import Any

from synapse.redis.commands.base import Command


def wait(replicas: int, *, within_ms: int) -> Command:
    """Wait until so many replicas have what was written (WAIT). The reply is how many have."""
    return Command(("WAIT", replicas, within_ms), barrier=True)


def wait_for_disk(*, within_ms: int) -> Command:
    """Wait until what was written is on the server's own disk (WAITAOF, Redis 7.2 and Valkey). The reply is 1 or 0."""
    return Command(("WAITAOF", 1, 0, within_ms), parse=_local, barrier=True)


def _local(reply: Any) -> int:
    return int(reply[0])
