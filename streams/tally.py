"""Counters of this process, by stream: kept in memory and flushed into Redis once a second, so that a publish costs no
command more. What is lost with a killed process is a second's counting, never an event."""

from collections import Counter
from collections.abc import Sequence
from threading import Lock
from typing import Literal

from streams.broker import commands, keys
from streams.broker.command import Command

Counted = Literal["published", "refused", "warned", "unregistered"]


class Tally:
    """How often what happened, since the last flush."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def add(self, stream: str, what: Counted, by: int = 1) -> None:
        """Count something that happened on a stream."""
        with self._lock:
            self._counts[stream, what] += by

    def flush(self) -> Sequence[Command]:
        """Return the commands that add the counts to those in Redis, and begin at zero."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return [commands.hincrby(keys.stats(stream), what, by) for (stream, what), by in counts.items()]
