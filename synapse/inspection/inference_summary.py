"""A summary of the last hour's inference events: a sample, read at most once in `KEPT_SECONDS`."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from synapse.catalog.stream_definitions import Snapshot
from synapse.formats.exact_json import is_number
from synapse.inspection.range_query import Scan
from synapse.redis import Conversation, ReplyError, WrongType, answer, ask
from synapse.redis.commands.streams import Entry
from synapse.wire.encoding import TopLevelTypes, decode, pairs
from synapse.wire.ids import EntryId, Range

STREAM, EVENT_TYPE = "inference-events", "inference-complete"
WINDOW_MINUTES = 60
MOST_ENTRIES = 1000
KEPT_SECONDS = 5.0
# Above this, a double does not represent each whole number, and a sum would be wrong.
_MOST_TOKENS = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    at: float
    shown: Mapping[str, Any]


class Inference:
    """Averages and sums over the newest inference events, cached for `KEPT_SECONDS`."""

    def __init__(self) -> None:
        self._sample: _Sample | None = None

    def metrics(self, catalog: Snapshot, *, now: float) -> Conversation[Mapping[str, Any]]:
        """Return the member `inference_metrics` of `/metrics`. `now` is in seconds since 1970."""
        sample = self._sample
        if sample is None or not 0 <= now - sample.at < KEPT_SECONDS:
            shown = yield from _read_summary(catalog, now_ms=int(now * 1000))
            self._sample = sample = _Sample(at=now, shown=shown)
        return sample.shown


def _read_summary(catalog: Snapshot, *, now_ms: int) -> Conversation[Mapping[str, Any]]:
    since = EntryId(max(0, now_ms - WINDOW_MINUTES * 60_000), 0)
    scan = Scan(STREAM, Range(first=since), order="newest", most=MOST_ENTRIES)
    stream = catalog.streams.get(STREAM)
    events: list[dict[str, Any]] = []
    while not scan.done:
        (reply,) = yield from ask([scan.command()])
        events += _of_type(scan.take_chunk(_entries_of(reply)), types_of=stream.types_of if stream else {})
    return _summarize(events)


def _entries_of(reply: Any) -> list[Entry]:
    if isinstance(reply, ReplyError) and reply.code == "NOPERM":
        # The stream need not be in the catalog. A Redis user with rights on the catalog's streams alone cannot read it
        # then.
        return []
    try:
        found: list[Entry] = answer(reply, STREAM, absent=[])
    except WrongType:
        return []
    return found


def _of_type(entries: Iterable[Entry], types_of: Mapping[str, TopLevelTypes]) -> list[dict[str, Any]]:
    decoded = (decode(pairs(found.parts), types_of=types_of) for found in entries)
    return [found.event for found in decoded if found.event_type == EVENT_TYPE]


def _summarize(events: list[dict[str, Any]]) -> dict[str, Any]:
    latencies = [number for event in events if (number := _number_of(event.get("latency_ms"))) is not None]
    tokens = [number for event in events if (number := _number_of(event.get("tokens_used"))) is not None]
    return {
        "total_inferences": len(events),
        "avg_latency_ms": round(math.fsum(latencies) / len(latencies), 3) if latencies else 0.0,
        "total_tokens": int(sum(number for number in tokens if 0 <= number <= _MOST_TOKENS)),
        "time_window_minutes": WINDOW_MINUTES,
        "sampled": True,
    }


def _number_of(value: Any) -> float | None:
    """Return a number, or parse it from a text: other publishers write texts. Return None for anything else."""
    if not (isinstance(value, str) or is_number(value)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
