"""The number of live viewers of each stream: every process reports its own once a second, and the sum is shown.

A report expires after a few seconds: a killed process soon counts no more.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from synapse.redis import Conversation, ReplyError, ask, keyspace
from synapse.redis.commands import streams as stream_commands

_SECONDS = 5


class Audience:
    """One process's reports of its viewers. `name` is its own among all processes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: set[str] = set()

    def report(self, watching: Mapping[str, int], *, now_ms: int) -> Conversation[None]:
        """Report the number of viewers by stream; also a number that fell to zero.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        streams = self._told | watching.keys()
        until = now_ms + _SECONDS * 1000
        asked = []
        for stream in sorted(streams):
            key = keyspace.watchers(stream)
            asked.append(stream_commands.hset(key, self._name, f"{watching.get(stream, 0)} {until}"))
            asked.append(stream_commands.expire(key, _SECONDS))
        if asked:
            yield asked
        self._told = set(watching)


def viewer_counts(streams: Iterable[str], *, now_ms: int) -> Conversation[dict[str, int]]:
    """Return how many watch each of the streams now.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    names = list(streams)
    replies = (yield from ask([stream_commands.hgetall(keyspace.watchers(name)) for name in names])) if names else []
    return {name: _size(reply, now_ms) for name, reply in zip(names, replies, strict=True)}


def _size(reply: Any, now_ms: int) -> int:
    # A foreign key in the place of ours counts nothing; it is no reason to fail.
    told = [] if isinstance(reply, ReplyError) else [text.partition(b" ") for text in reply.values()]
    return sum(int(count) for count, _, until in told if count.isdigit() and until.isdigit() and int(until) > now_ms)
