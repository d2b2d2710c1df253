"""Counters and durations of this process by stream, and the sources of its events.

They are kept in memory and added to those in Redis once a second, so that a publish needs no further command. A process
that is killed loses at most the counts of one second, and no event.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from threading import Lock
from typing import Any, Literal, TypeVar

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.problems import Problem
from synapse.publishing.refusals import Refusals
from synapse.redis import Command, Conversation, RedisUnavailable, ReplyError, ReplyLost, keyspace
from synapse.redis.commands.participants import forget_publishers, note_publishers, oldest_publishers
from synapse.redis.commands.streams import hincrby, zcard
from synapse.runtime import histogram

T = TypeVar("T")
# Implemented in C, so that no other thread runs meanwhile: with a Python function two threads could each create the
# dictionary of a stream, and the counts in one of the two would be lost.
_LISTS: partial[defaultdict[str, list[Any]]] = partial(defaultdict, list)
Counted = Literal["published", "refused", "warned", "unregistered"]
# Begins the names of the counters of refused events by reason; the slug of the problem follows.
REFUSED_FOR = "refused:"
# The measured durations: storing the events of a request, one attempt to deliver an event, and the time from an event's
# publish to its delivery.
Lasted = Literal["publish", "attempt", "delivered"]
# Counters that are shown to operators only.
Dropped = Literal["live_dropped", "spans_dropped"]

# Publishers choose the sources of their events, so these are bounded: the pairs of stream and source that are recorded
# between two flushes, the characters of each source, and the pairs that Redis keeps (the latest ones).
MOST_NOTED, MOST_CHARACTERS, MOST_KEPT = 5_000, 200, 20_000
# The number of increments or durations in one list at which they are added up: a process may flush late, or never.
MOST_WAITING = 10_000


class StreamCounters:
    """Counts, durations and publishing sources of each stream since the last flush to Redis."""

    def __init__(self) -> None:
        # Increments by outcome and stream, and durations in seconds by kind, stream and group ("" for durations of the
        # stream itself). Appending to a list needs no lock and an eighth of the time of an addition. The lists are
        # added up once a second, or earlier when one is long.
        self._increments: dict[str, dict[str, list[int]]] = defaultdict(_LISTS)
        self._durations: dict[Lasted, dict[str, dict[str, list[float]]]] = defaultdict(partial(defaultdict, _LISTS))
        # Their sums since the last flush, with the counts that Redis refused in earlier flushes: by stream and outcome,
        # and by stream and field of its histograms.
        self._counts: Counter[tuple[str, str]] = Counter()
        self._buckets: Counter[tuple[str, str]] = Counter()
        self.refusals = Refusals()
        # By stream and source: the source as shown to people (PII masked), and the id of its first event since the
        # flush.
        self.noted: dict[tuple[str, str], tuple[str, str]] = {}
        self._lock = Lock()  # guards emptying the lists, and the sums

    def observe(self, stream: str, what: Lasted, seconds: float, *, group: str = "", times: int = 1) -> None:
        """Record a duration, or `times` equal ones."""
        durations = self._durations[what][stream][group]
        if times == 1:
            durations.append(seconds)
        else:
            durations += [seconds] * times
        if len(durations) > MOST_WAITING:
            self._add_up()

    def add(self, stream: str, what: Counted | Dropped, by: int = 1) -> None:
        """Add to a counter of a stream. Its list is added up when durations or refusals are many."""
        self._increments[what][stream].append(by)

    def refuse(self, stream: str, reason: str, by: int = 1) -> None:
        """Count refused events. `reason` is the slug of the problem in the response."""
        refused = self._increments["refused"][stream]
        refused.append(by)
        self._increments[REFUSED_FOR + reason][stream].append(by)
        if len(refused) > MOST_WAITING:
            self._add_up()

    def note_refused(
        self,
        stream: StreamDefinition,
        problem: Problem,
        by: Principal,
        *,
        event: Any = None,
        size: int = 0,
        times: int = 1,
    ) -> None:
        """Count refused events, and note them by kind, as `Refusals.note` does."""
        self.refuse(stream.name, problem.slug, times)
        self.refusals.note(stream, problem, by, event=event, size=size, times=times)

    def take_counts(self) -> Counter[tuple[str, str]]:
        """Return the counts since the last flush, by stream and outcome, and reset them."""
        self._add_up()
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts

    def _add_up(self) -> None:
        """Add up what waits in the lists."""
        with self._lock:
            for what, by_stream in list(self._increments.items()):
                for stream, increments in list(by_stream.items()):
                    if increments:
                        self._counts[stream, what] += sum(_drain(increments))
            for lasted, streams in list(self._durations.items()):
                for stream, by_group in list(streams.items()):
                    for group, durations in list(by_group.items()):
                        if durations:
                            for bucket, by in histogram.fields(_drain(durations)).items():
                                self._buckets[stream, f"{lasted}:{bucket}:{group}"] += by

    def note_sources(self, stream: str, sources: Mapping[str, str], entry_id: str) -> None:
        """Record the sources of events that were published to a stream.

        Without a lock: a record that a concurrent flush loses is made again with the next event.

        Args:
            sources: each source, with the form that is shown to people.
            entry_id: the id of one of the events.
        """
        noted = self.noted
        for source, shown in sources.items():
            key = (stream, source[:MOST_CHARACTERS])
            if key in noted or len(noted) < MOST_NOTED:
                noted[key] = (shown, entry_id)

    def flush(self) -> Conversation[None]:
        """Add the counts to those in Redis and reset them. Counts that Redis refuses are kept for the next flush."""
        counts = self.take_counts()
        with self._lock:
            buckets, self._buckets = self._buckets, Counter()
            sources, self.noted = self.noted, {}
        asked = [hincrby(keyspace.stats(stream), what, by) for (stream, what), by in counts.items()]
        asked += [hincrby(keyspace.durations(stream), field, by) for (stream, field), by in buckets.items()]
        asked += _commands_for_sources(sources)
        if not asked:
            return
        try:
            replies = yield asked
        except ReplyLost:
            # Redis may have added them: losing the counts of a second is better than counting them twice.
            raise
        except RedisUnavailable:
            # Durations are dropped: only their distribution is shown, for which the next second has new ones.
            with self._lock:
                self._counts.update(counts)
            raise
        taken = zip(counts.items(), replies, strict=False)
        with self._lock:
            self._counts.update({key: by for (key, by), reply in taken if isinstance(reply, ReplyError)})
        if sources and isinstance(replies[-1], int) and replies[-1] > MOST_KEPT:
            (oldest,) = yield [oldest_publishers(replies[-1] - MOST_KEPT)]
            yield [forget_publishers(oldest)]

    def clear(self) -> None:
        """Forget the counts (for tests)."""
        self._increments.clear()
        self._durations.clear()
        self._counts.clear()
        self._buckets.clear()
        self.noted.clear()
        self.refusals.clear()


def _drain(values: list[T]) -> list[T]:
    """Remove the values from a list, and return them. Other threads may append meanwhile."""
    taken = values[:]
    del values[: len(taken)]
    return taken


def _commands_for_sources(sources: Mapping[tuple[str, str], tuple[str, str]]) -> list[Command]:
    """Return the commands that record the sources and count the recorded ones."""
    if not sources:
        return []
    seen = {
        (stream, shown[:MOST_CHARACTERS]): int(entry_id.partition("-")[0])
        for (stream, _), (shown, entry_id) in sources.items()
    }
    return [note_publishers(seen), zcard(keyspace.PUBLISHERS)]
