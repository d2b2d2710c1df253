"""Every defined stream exists in Redis, empty until its first event: nothing is seeded into it."""

import logging
import time
from collections.abc import Callable, Iterable

from synapse.catalog.stream_definitions import Snapshot
from synapse.redis import Command, Conversation, RedisRefused, ReplyError, SyncExecutor, answer
from synapse.redis.commands import streams as stream_commands

logger = logging.getLogger(__name__)

# No user's group: names that begin so are refused everywhere.
_PASSING_GROUP = "syn:made"
# Redis may have lost its data, or evicted a stream: how often to look although the catalog is the same, in seconds.
LOOK_AGAIN = 30.0


def ensure_streams(names: Iterable[str]) -> Conversation[list[str]]:
    """Make the streams that Redis does not have. Return those whose key holds something else; it is left alone."""
    asked = list(names)
    if not asked:
        return []
    kinds = yield list(map(stream_commands.key_type, asked))
    found = {name: answer(reply, name) for name, reply in zip(asked, kinds, strict=True)}
    if missing := [name for name, kind in found.items() if kind == "none"]:
        for reply in (yield [command for name in missing for command in _make(name)]):
            for part in reply if isinstance(reply, list) else [reply]:
                if isinstance(part, ReplyError):
                    raise RedisRefused(f"Redis did not make a stream: {part}.")
    return [name for name, kind in found.items() if kind not in ("stream", "none")]


def _make(name: str) -> list[Command]:
    """Only making a group makes an empty stream; the group goes again in the same transaction."""
    steps = [
        stream_commands.xgroup_create(name, _PASSING_GROUP, "0"),
        stream_commands.xgroup_destroy(name, _PASSING_GROUP),
    ]
    return [stream_commands.multi(), *steps, stream_commands.execute(steps)]


class StreamCreator:
    """Makes the catalog's streams when it changed, and looks again from time to time."""

    def __init__(
        self,
        executor: Callable[[], SyncExecutor],
        catalog: Callable[[], Snapshot],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._catalog = catalog
        self._clock = clock
        self._seen: int | None = None
        self._again = 0.0
        self._strangers: set[str] = set()

    def step(self) -> bool:
        """Return False when there was nothing to do.

        Raises:
            RedisUnavailable: when Redis cannot be used; the next step tries again.
        """
        catalog, now = self._catalog(), self._clock()
        if catalog.version == self._seen and now < self._again:
            return False
        strangers = set(self._executor().run(ensure_streams(catalog.streams)))
        for name in sorted(strangers - self._strangers):
            logger.warning("the Redis key %r does not hold a stream; nothing can be published there", name)
        self._seen, self._again, self._strangers = catalog.version, now + LOOK_AGAIN, strangers
        return True
