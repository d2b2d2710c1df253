"""Counters and durations of this process, by stream, and the sources that published: kept in memory and flushed into
Redis once a second, so that a publish costs no command more. A killed process loses a second's counting, never an
event."""

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
# No function of Python: threads could take turns in it, two of them make a dictionary, and the counts in one be lost.
_LISTS: partial[defaultdict[str, list[Any]]] = partial(defaultdict, list)
Counted = Literal["published", "refused", "warned", "unregistered"]
# Refused events are counted by reason too: the slug of the problem, behind this.
REFUSED_FOR = "refused:"
# The measured durations: of storing a request's events, of an attempt to deliver one, and from its publish to its
# delivery.
Lasted = Literal["publish", "attempt", "delivered"]
# Counted too, and of no interest to publishers.
Dropped = Literal["live_dropped", "spans_dropped"]

# Publishers choose the sources of their events: this many pairs of stream and source are recorded between two flushes,
# with this many characters of each, and this many are kept in Redis, the latest ones.
MOST_NOTED, MOST_CHARACTERS, MOST_KEPT = 5_000, 200, 20_000
# The number of increments or durations that wait in one list to be added up: a process may flush late, or never.
MOST_WAITING = 10_000


class StreamCounters:
    """Counts, durations and publishing sources of each stream since the last flush to Redis."""

    def __init__(self) -> None:
        # The increments since they were added up, by outcome and stream, and the durations in seconds, by what lasted,
        # stream and group ("" for the stream's own). Each is appended, which takes no lock and an eighth of the time of
        # adding it; they are added up once a second, or earlier when there are many.
        self._increments: dict[str, dict[str, list[int]]] = defaultdict(_LISTS)
        self._durations: dict[Lasted, dict[str, dict[str, list[float]]]] = defaultdict(partial(defaultdict, _LISTS))
        # Their sums since the last flush, with counts that Redis did not take: by stream and outcome, and by stream and
        # field of its histograms.
        self._counts: Counter[tuple[str, str]] = Counter()
        self._buckets: Counter[tuple[str, str]] = Counter()
        self.refusals = Refusals()
        # By stream and source: the source as people may see it, and the id of the first event since the last flush.
        self.noted: dict[tuple[str, str], tuple[str, str]] = {}
        self._lock = Lock()  # of the thread that takes from the lists, or takes the sums

    def observe(self, stream: str, what: Lasted, seconds: float, *, group: str = "", times: int = 1) -> None:
        """Record that `what` took so many seconds, `times` times."""
        durations = self._durations[what][stream][group]
        if times == 1:
            durations.append(seconds)
        else:
            durations += [seconds] * times
        if len(durations) > MOST_WAITING:
            self._add_up()

    def add(self, stream: str, what: Counted | Dropped, by: int = 1) -> None:
        """Count something that happened on a stream. Frequent ones are observed or refused as often."""
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
                        self._counts[stream, what] += sum(_taken(increments))
            for lasted, streams in list(self._durations.items()):
                for stream, by_group in list(streams.items()):
                    for group, durations in list(by_group.items()):
                        if durations:
                            for bucket, by in histogram.fields(_taken(durations)).items():
                                self._buckets[stream, f"{lasted}:{bucket}:{group}"] += by

    def note_sources(self, stream: str, sources: Mapping[str, str], entry_id: str) -> None:
        """Note which sources published to a stream.

        No lock: a note that is lost to a flush of the same moment is made again with the next event.

        Args:
            stream: where they published.
            sources: each source, and how people may see it.
            entry_id: the id of one of their events.
        """
        noted = self.noted
        for source, shown in sources.items():
            key = (stream, source[:MOST_CHARACTERS])
            if key in noted or len(noted) < MOST_NOTED:
                noted[key] = (shown, entry_id)

    def flush(self) -> Conversation[None]:
        """Add the counts to those in Redis and begin at zero. Counts that Redis did not take are kept for the next
        time."""
        counts = self.take_counts()
        with self._lock:
            buckets, self._buckets = self._buckets, Counter()
            sources, self.noted = self.noted, {}
        asked = [hincrby(keyspace.stats(stream), what, by) for (stream, what), by in counts.items()]
        asked += [hincrby(keyspace.durations(stream), field, by) for (stream, field), by in buckets.items()]
        asked += _noting(sources)
        if not asked:
            return
        try:
            replies = yield asked
        except ReplyLost:
            # It may have taken them: counted twice would be worse than a second's counting lost.
            raise
        except RedisUnavailable:
            # Durations are not kept: what is shown of them are parts of all, and the next second has others.
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


def _taken(values: list[T]) -> list[T]:
    """Take the values out of a list to whose end other threads append meanwhile."""
    taken = values[:]
    del values[: len(taken)]
    return taken


def _noting(sources: Mapping[tuple[str, str], tuple[str, str]]) -> list[Command]:
    """Return the commands that record the sources and count the recorded ones."""
    if not sources:
        return []
    seen = {
        (stream, shown[:MOST_CHARACTERS]): int(entry_id.partition("-")[0])
        for (stream, _), (shown, entry_id) in sources.items()
    }
    return [note_publishers(seen), zcard(keyspace.PUBLISHERS)]
