"""The indexer: one process reads the new entries of the streams, and maintains the index that finds events by their
ids.

Publishing does no work for the index. The indexer holds a lease in Redis that expires unless it is renewed. Each change
of an index names the version that it changes, so two processes that both hold themselves to be the indexer do no harm.
Entries of all writers are indexed. A new stream, a stream with changed properties, or one whose index was lost is
indexed from its start.

The latest entries stay unindexed until there are enough for a segment: a search reads them itself (`search.py`). Small
segments are merged, and segments are deleted when all their entries have been trimmed.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.correlation import segments
from synapse.correlation.digests import Digests, EntryDigests, marks_name
from synapse.inspection.range_query import Scan
from synapse.redis import ReplyError, SyncExecutor, keyspace, value
from synapse.redis.commands import correlation, participants
from synapse.redis.commands.correlation import IndexState, SegmentRange
from synapse.redis.commands.statistics import StreamSample, sample_stream
from synapse.redis.lease import Lease
from synapse.runtime.repeated_failures import RepeatedFailures
from synapse.wire.ids import Range, following, parse

logger = logging.getLogger(__name__)

# A killed indexer is replaced when its lease ends: three turns without a renewal.
LEASE_MS = 3_000
# The least and the greatest number of entries in a new segment; fewer if they have SLICE_BYTES, because a search reads
# all entries that are not indexed. Segments smaller than one of SIZES are merged when they reach it together.
LEAST, SLICE, SLICE_BYTES = 256, 4_096, 4 * 1024 * 1024
SIZES = (LEAST, SLICE, 32_768)
# The time limit of a turn, in seconds. While the rest of this process uses more than the share BUSY of a core, a turn
# may use only SHARE_OF_BUSY of that processor time.
BUDGET, BUSY, SHARE_OF_BUSY = 0.2, 0.25, 0.02
# A stream is looked at every ASK_EVERY seconds times the number of streams, at the latest after MOST_ASK_EVERY; in each
# turn if it was published to lately. `ASKED_TOGETHER` streams are asked in one pipeline.
ASK_EVERY, MOST_ASK_EVERY = 0.005, 10.0
ASKED_TOGETHER = 200
# On servers that do not count added entries, a stream is read at this interval, in seconds.
READ_EVERY = 5.0
# Indexes of deleted streams are looked for at this interval, in seconds.
_CLEAN_EVERY = 60.0


@dataclass(slots=True, kw_only=True)
class _StreamIndex:
    """A stream's index, as this process knows it. Times are in seconds of the indexer's clock.

    Attributes:
        state: its state in Redis; None when it has to be read.
        ask_at: when to look at the stream again.
        enough: the stream's number of added entries at which there are enough new ones to index.
        read_at: when it was last indexed, for servers that do not count added entries.
    """

    stream: StreamDefinition
    covered_fields: str
    marks_name: str
    state: IndexState | None = None
    ask_at: float = float("-inf")
    enough: int = 0
    read_at: float = float("-inf")


class Indexer:
    """Indexes the streams, a bounded part of each in turn, while this process holds the lease.

    Args:
        executor: returns the connection to Redis.
        streams: returns the streams of the catalog by name.
        digests: returns the `Digests`.
        busy: returns the processor time that this process has used, in seconds.
        clock: gives seconds.
    """

    def __init__(
        self,
        executor: Callable[[], SyncExecutor],
        streams: Callable[[], Mapping[str, StreamDefinition]],
        digests: Callable[[], Digests],
        *,
        budget: float = BUDGET,
        busy: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._streams = streams
        self._digests = digests
        self._full_budget = budget
        self._busy = busy
        self._clock = clock
        self._lease = Lease(keyspace.INDEXER_LEASE, ttl_ms=LEASE_MS)
        self._known: dict[str, _StreamIndex] = {}
        self._clean_at = float("-inf")
        self._used, self._turned_at, self._spent = busy(), clock(), 0.0
        self._failures = RepeatedFailures()

    def step(self) -> bool:
        """Index new entries until none are left, or the time of this turn is over. Return whether this process is the
        indexer now.

        Raises:
            RedisUnavailable: when Redis cannot be used.
            ReplyError: when Redis refuses the lease.
        """
        until = self._clock() + self._seconds_for_turn()
        begun = time.thread_time()
        try:
            return self._index_streams(until)
        finally:
            self._spent = time.thread_time() - begun

    def _index_streams(self, until: float) -> bool:
        held, lately = self._executor().execute([self._lease.hold(), participants.recently_published_streams()])
        if not value(held):
            # Another process may change the indexes now.
            self._known, self._clean_at = {}, float("-inf")
            return False
        self._update_streams({name: stream for name, stream in self._streams().items() if stream.correlation})
        self._delete_obsolete()
        waiting = self._find_due(() if isinstance(lately, ReplyError) else lately)
        while waiting:
            again = []
            for known in waiting:
                if self._index_slice(known, until):
                    again.append(known)
                if self._clock() >= until:
                    return True
            waiting = again
        return True

    def _seconds_for_turn(self) -> float:
        """Return the seconds that this turn may take: few if the process was busy since the last turn."""
        used, now = self._busy(), self._clock()
        others = used - self._used - self._spent
        share = others / max(now - self._turned_at, 1e-3)
        self._used, self._turned_at = used, now
        return SHARE_OF_BUSY * others if share > BUSY else self._full_budget

    def _update_streams(self, streams: Mapping[str, StreamDefinition]) -> None:
        """Update the known streams: remove deleted ones, add new ones, and start over with redefined ones."""
        digests = self._digests()
        self._known = {
            name: known
            if (known := self._known.get(name)) and known.stream is stream
            else _StreamIndex(stream=stream, covered_fields=digests.index_name(stream), marks_name=marks_name(stream))
            for name, stream in streams.items()
        }

    def _delete_obsolete(self) -> None:
        """Delete the indexes of streams that were deleted, or declare no properties any more."""
        if self._clock() < self._clean_at:
            return
        self._clean_at = self._clock() + _CLEAN_EVERY
        for known in self._known.values():
            # Another program may have deleted the index, so its state is read again.
            known.state = None
        names = value(self._executor().execute([correlation.indexed_streams()])[0])
        for name in names:
            if name not in self._known:
                self._delete_index(name, value(self._executor().execute([correlation.index_state(name)])[0]))

    def _find_due(self, lately: Collection[str]) -> list[_StreamIndex]:
        """Look at the streams that are due. Return those with entries to index, the one indexed longest ago first."""
        now = self._clock()
        pause = min(ASK_EVERY * len(self._known), MOST_ASK_EVERY)
        due = [known for name, known in self._known.items() if known.ask_at <= now or name in lately]
        found = []
        for start in range(0, len(due), ASKED_TOGETHER):
            part = due[start : start + ASKED_TOGETHER]
            self._read_states([known for known in part if known.state is None])
            replies = self._executor().execute([sample_stream(known.stream.name, memory=False) for known in part])
            for known, reply in zip(part, replies, strict=True):
                known.ask_at = now + pause
                if isinstance(reply, ReplyError):
                    self._log_error(known.stream.name, reply)
                elif known.state is not None and self._has_work(known, known.state, reply):
                    found.append(known)
        return sorted(found, key=lambda known: known.read_at)

    def _read_states(self, unread: Sequence[_StreamIndex]) -> None:
        """Read the states of the indexes of streams, and delete an index that lacks a segment."""
        replies = self._executor().execute([correlation.index_state(known.stream.name) for known in unread])
        for known, reply in zip(unread, replies, strict=True):
            if isinstance(reply, ReplyError):
                self._log_error(known.stream.name, reply)
            else:
                known.state = reply
        read = [(known, known.state) for known in unread if known.state is not None and known.state.segments]
        asked = [correlation.count_segments(known.stream.name, list(state.segments)) for known, state in read]
        for (known, state), count in zip(read, self._executor().execute(asked), strict=True):
            if count != len(state.segments):
                known.state = IndexState() if self._delete_index(known.stream.name, state) else None

    def _has_work(self, known: _StreamIndex, state: IndexState, now: StreamSample) -> bool:
        """Return whether there are enough entries to index.

        Delete an index for other properties or of a stream that was deleted, and segments whose entries were trimmed.
        """
        if state.version and (
            (state.covered_fields, state.marks_name) != (known.covered_fields, known.marks_name)
            or parse(state.position) > parse(now.last_id)
        ):
            known.state = None
            if not self._delete_index(known.stream.name, state):
                return False
            known.state = state = IndexState()
            known.enough = 0
        first = parse(now.first_id) if now.length else following(parse(now.last_id))
        gone = [number for number, kept in state.segments.items() if parse(kept.last_id) < first]
        if gone:
            self._write_index(known, state, deleted=gone)
        if not now.length or parse(now.last_id) <= parse(state.position):
            return False
        if now.added < 0:
            return self._clock() >= known.read_at + READ_EVERY
        # If fewer were added than before, the stream was deleted and created again.
        return now.added >= known.enough or now.added < state.added

    def _index_slice(self, known: _StreamIndex, until: float) -> bool:
        """Index a slice of a stream, of `LEAST` entries or `SLICE_BYTES` at least. Return whether there may be more.

        Args:
            until: the end of the turn.
        """
        state, stream = known.state, known.stream
        if state is None:
            return False
        (now,) = map(value, self._executor().execute([sample_stream(stream.name, memory=False)]))
        digests = EntryDigests(self._digests(), stream)
        found: list[tuple[str, set[int]]] = []
        scan = Scan(stream.name, Range(first=following(parse(state.position))), most=SLICE, most_bytes=SLICE_BYTES)
        while not scan.done and (self._clock() < until or len(found) < LEAST):
            entries = value(self._executor().execute([scan.command()])[0])
            found += [(entry.id, digests.digest_entry(entry.parts)) for entry in scan.take_chunk(entries)]
        known.read_at = self._clock()
        self._failures.end(stream.name)
        least = _least_of(scan)
        if len(found) < least and scan.exhausted:
            # Too few for a segment: searches read them.
            known.enough = now.added + least - len(found)
            return False
        known.enough = now.added + least if scan.exhausted else 0
        # Recorded each time, since an earlier indexer may record late that it deleted the index.
        value(self._executor().execute([correlation.note_indexed(stream.name)])[0])
        written = SegmentRange(found[-1][0], len(found))
        state = replace(
            state,
            covered_fields=known.covered_fields,
            marks_name=known.marks_name,
            position=written.last_id,
            added=_added_up_to(state, now, len(found), scan),
        )
        number = max(state.segments, default=0) + 1
        if self._write_index(known, state, written=(number, written, segments.build_segment(found))):
            for size in SIZES:
                self._merge_small(known, size)
        return not scan.exhausted

    def _merge_small(self, known: _StreamIndex, size: int) -> None:
        """Merge the last segments that are smaller than `size`, if together they have that size."""
        state = known.state
        if state is None:
            return
        small: list[int] = []
        for number, kept in reversed(state.segments.items()):
            if kept.entries >= size:
                break
            small.insert(0, number)
        entries = sum(state.segments[number].entries for number in small)
        if len(small) < 2 or entries < size:
            return
        replies = self._executor().execute([correlation.segment(known.stream.name, number) for number in small])
        parts = [value(reply) for reply in replies]
        if None in parts:
            # Another program deleted a segment: the index is built again.
            known.state = None
            return
        last = SegmentRange(state.segments[small[-1]].last_id, entries)
        self._write_index(known, state, written=(small[-1] + 1, last, segments.merge_segments(parts)), deleted=small)

    def _write_index(
        self,
        known: _StreamIndex,
        state: IndexState,
        *,
        written: tuple[int, SegmentRange, bytes] | None = None,
        deleted: Sequence[int] = (),
    ) -> bool:
        """Change the index in Redis, and remember its new state.

        Returns:
            False when another process has changed the index: its state is read again in the next turn.
        """
        known.state = None
        asked = correlation.write_index(known.stream.name, state, written=written, deleted=deleted)
        version = value(self._executor().execute([asked])[0])
        if not version:
            return False
        kept = {number: each for number, each in state.segments.items() if number not in deleted}
        if written is not None:
            kept[written[0]] = written[1]
        known.state = replace(state, version=version, segments=kept)
        return True

    def _delete_index(self, stream: str, state: IndexState) -> bool:
        """Delete an index. Return False when another process has changed it."""
        if not value(self._executor().execute([correlation.delete_index(stream, state.version)])[0]):
            return False
        value(self._executor().execute([correlation.note_deleted(stream)])[0])
        return True

    def _log_error(self, stream: str, error: ReplyError) -> None:
        """Log an error of a stream, unless it repeats the last one. Other streams are indexed nevertheless."""
        if self._failures.is_new(str(error), stream):
            logger.warning("the events of the stream “%s” cannot be indexed: %s", stream, error)


def _least_of(scan: Scan) -> int:
    """Return the least number of entries for a segment, given the sizes of those that were read."""
    return min(LEAST, max(SLICE_BYTES * scan.entries // scan.bytes, 1)) if scan.bytes else LEAST


def _added_up_to(state: IndexState, now: StreamSample, indexed: int, scan: Scan) -> int:
    """Return the number of entries added to the stream up to the last indexed one; -1 when it is unknown."""
    if now.added < 0 or scan.exhausted:
        return now.added
    before = state.added if state.version else now.added - now.length
    return min(before + indexed, now.added)
