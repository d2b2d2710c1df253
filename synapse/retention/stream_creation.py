"""Creating each defined stream in Redis, empty until its first event."""

import logging
import time
from collections.abc import Callable, Iterable

from synapse.catalog.stream_definitions import Snapshot
from synapse.redis import Command, Conversation, RedisRefused, ReplyError, SyncExecutor, answer
from synapse.redis.commands import streams as stream_commands

logger = logging.getLogger(__name__)

# A group name that no user can have: names with this prefix are refused everywhere.
_PASSING_GROUP = "syn:made"
# The interval in seconds after which the streams are checked although the catalog is unchanged: Redis may have lost its
# data or evicted a stream.
LOOK_AGAIN = 30.0


def ensure_streams(names: Iterable[str]) -> Conversation[list[str]]:
    """Create the streams that Redis does not have. Return the names whose key has another type; these keys are left
    unchanged.
    """
    asked = list(names)
    if not asked:
        return []
    kinds = yield list(map(stream_commands.key_type, asked))
    found = {name: answer(reply, name) for name, reply in zip(asked, kinds, strict=True)}
    if missing := [name for name, kind in found.items() if kind == "none"]:
        for reply in (yield [command for name in missing for command in _creation_commands(name)]):
            for part in reply if isinstance(reply, list) else [reply]:
                if isinstance(part, ReplyError):
                    raise RedisRefused(f"Redis did not make a stream: {part}.")
    return [name for name, kind in found.items() if kind not in ("stream", "none")]


def _creation_commands(name: str) -> list[Command]:
    """Return the commands that create an empty stream. Only creating a group does that; the same transaction deletes
    the group.
    """
    steps = [
        stream_commands.xgroup_create(name, _PASSING_GROUP, "0"),
        stream_commands.xgroup_destroy(name, _PASSING_GROUP),
    ]
    return [stream_commands.multi(), *steps, stream_commands.execute(steps)]


class StreamCreator:
    """Creates the catalog's streams when the catalog has changed, and checks them again from time to time."""

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
        """Create missing streams if a check is due. Return False when there was nothing to do.

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
