"""Counters of this process, by stream: kept in memory and flushed into Redis once a second, so that a publish costs no
command more. What is lost with a killed process is a second's counting, never an event."""

from collections import Counter
from threading import Lock
from typing import Literal

from streams.broker import commands, keys
from streams.broker.command import Conversation, ReplyError
from streams.errors import OutcomeUnknown, Unavailable

Counted = Literal["published", "refused", "warned", "unregistered"]
# Refused events are counted by reason too: the slug of the problem, behind this.
REFUSED_FOR = "refused:"
# Counted too, and of no interest to publishers.
Dropped = Literal["live_dropped"]


class Tally:
    """How often what happened, since the last flush."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def add(self, stream: str, what: Counted | Dropped, by: int = 1) -> None:
        """Count something that happened on a stream."""
        with self._lock:
            self._counts[stream, what] += by

    def refuse(self, stream: str, reason: str, by: int = 1) -> None:
        """Count events that were not stored. `reason` is the slug of the problem that publishers were told."""
        with self._lock:
            self._counts[stream, "refused"] += by
            self._counts[stream, REFUSED_FOR + reason] += by

    def flush(self) -> Conversation[None]:
        """Add the counts to those in Redis and begin at zero. What Redis did not take is kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            replies = yield [commands.hincrby(keys.stats(stream), what, by) for (stream, what), by in counts.items()]
        except OutcomeUnknown:
            # It may have taken them: counted twice would be worse than a second's counting lost.
            raise
        except Unavailable:
            self._keep(counts)
            raise
        taken = zip(counts.items(), replies, strict=True)
        self._keep(Counter({key: by for (key, by), reply in taken if isinstance(reply, ReplyError)}))

    def clear(self) -> None:
        """Forget the counts (for tests)."""
        with self._lock:
            self._counts.clear()

    def _keep(self, counts: Counter[tuple[str, str]]) -> None:
        with self._lock:
            self._counts.update(counts)
