"""Asking a Redis server how it is set up."""

from typing import Any

from synapse.redis.commands.base import Command


def config_get(name: str) -> Command:
    """Ask for one setting. The reply is its text, or None when the server has no such setting; many hosted servers
    refuse the question."""
    return Command(("CONFIG", "GET", name), parse=_only_value)


def _only_value(reply: Any) -> str | None:
    return reply[1].decode("utf-8", "replace") if reply else None
