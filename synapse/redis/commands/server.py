"""Commands that read the state and settings of a server, and that wait until writes are durable.

Both waits concern only the earlier writes of their own connection. Both reply with a count, even when the time ran out
before it was reached. Inside MULTI they would not wait at all.
"""

from typing import Any

from synapse.redis.command import Command


def wait(replicas: int, *, within_ms: int) -> Command:
    """Wait until this many replicas have the connection's writes (WAIT). The reply is the number of replicas that have
    them.
    """
    return Command(("WAIT", replicas, within_ms), barrier=True)


def wait_for_disk(*, within_ms: int) -> Command:
    """Wait until the connection's writes are on the server's own disk (WAITAOF, Redis 7.2 and Valkey). The reply is 1
    or 0.
    """
    return Command(("WAITAOF", 1, 0, within_ms), parse=lambda reply: int(reply[0]), barrier=True)


def config_get(name: str) -> Command:
    """Read one setting. The reply is its text, or None when the server has no such setting. Many hosted servers refuse
    the command.
    """
    return Command(("CONFIG", "GET", name), parse=lambda reply: reply[1].decode("utf-8", "replace") if reply else None)


def info() -> Command:
    """Read the server's INFO as a dictionary of strings."""
    return Command(("INFO",), parse=_parse_info)


def _parse_info(reply: Any) -> dict[str, str]:
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name: content for name, _, content in lines}
