"""Commands that ask a server for its state and settings, and that wait until writes are durable beyond its memory.

Both waits count the earlier writes of their own connection, and no others; both answer with a count, also when the time
was over before it was reached. Inside MULTI they would not wait at all.
"""

from typing import Any

from synapse.redis.command import Command


def wait(replicas: int, *, within_ms: int) -> Command:
    """Wait until so many replicas have the connection's writes (WAIT). The reply is how many have."""
    return Command(("WAIT", replicas, within_ms), barrier=True)


def wait_for_disk(*, within_ms: int) -> Command:
    """Wait until the connection's writes are on the server's own disk (WAITAOF, Redis 7.2 and Valkey). The reply is 1
    or 0."""
    return Command(("WAITAOF", 1, 0, within_ms), parse=lambda reply: int(reply[0]), barrier=True)


def config_get(name: str) -> Command:
    """Ask for one setting. The reply is its text, or None when the server has no such setting; many hosted servers
    refuse the question."""
    return Command(("CONFIG", "GET", name), parse=lambda reply: reply[1].decode("utf-8", "replace") if reply else None)


def info() -> Command:
    """Read the server's INFO as a dictionary of texts."""
    return Command(("INFO",), parse=_info)


def _info(reply: Any) -> dict[str, str]:
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name: content for name, _, content in lines}
