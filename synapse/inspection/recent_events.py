"""The newest events of one type, for schema inference and back-tests."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.errors.streams import UnknownStream
from synapse.inspection.range_query import Scan
from synapse.problems import BadParameter
from synapse.redis import Conversation, answer, ask
from synapse.redis.commands.streams import Entry
from synapse.wire.encoding import DecodedEntry, TopLevelTypes
from synapse.wire.fast_decoder import decode_parts
from synapse.wire.ids import Range, iso_of, moment_of

MOST_EVENTS, USUAL_EVENTS = 100_000, 10_000
# The search for a rare type among many others must not occupy Redis and a thread for long.
MOST_SCANNED = 200_000
MOST_BYTES = 256 * 1024 * 1024
MOST_SECONDS = 10.0

Stopped = Literal["entries", "bytes", "seconds"]
_REASONS: Mapping[Stopped, str] = {
    "entries": f"{MOST_SCANNED} entries were looked at",
    "bytes": f"{MOST_BYTES // 1024**2} MiB were read",
    "seconds": f"{MOST_SECONDS:g} seconds were over",
}
_MASKED = (
    "PII was masked (•••) before the events were tested, because the right to see it is missing: findings at these "
    "places are about the mask."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """The result of a scan for the newest events of one type.

    Attributes:
        events: how many events of the type were found.
        foreign: how many of these events other programs wrote.
        newest, oldest: the ids of the newest and the oldest event found.
        scanned: how many entries of all types were read.
        stopped: the limit that ended the scan early. None when enough events were found, or the stream was read to
            its beginning.
        masked: whether PII was masked before the events were used.
    """

    events: int
    foreign: int
    newest: str | None
    oldest: str | None
    scanned: int
    stopped: Stopped | None
    masked: bool = False

    @property
    def why_stopped(self) -> str | None:
        """The limit that ended the scan early, in words."""
        return None if self.stopped is None else _REASONS[self.stopped]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "events": self.events,
            "foreign": self.foreign,
            "oldest": id_with_time(self.oldest),
            "newest": id_with_time(self.newest),
            "scanned": self.scanned,
            "complete": self.stopped is None,
            "stopped": self.why_stopped,
            "masked": self.masked,
            "note": _MASKED if self.masked else None,
        }


def parse_last(text: str) -> int:
    """Parse the requested number of events: 1 to `MOST_EVENTS`, `USUAL_EVENTS` when the text is empty.

    Raises:
        BadParameter: when it is not a number in this range.
    """
    text = text or str(USUAL_EVENTS)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MOST_EVENTS):
        raise BadParameter(f"“last” is a whole number from 1 to {MOST_EVENTS}.", parameter="last")
    return int(text)


def find_stream(catalog: Snapshot, stream: str) -> StreamDefinition:
    """Return the stream of this name.

    Raises:
        UnknownStream: when none is defined.
    """
    found = catalog.streams.get(stream)
    if found is None:
        raise UnknownStream(stream)
    return found


def scan_newest(
    stream: str,
    event_type: str,
    *,
    last: int,
    types_of: Mapping[str, TopLevelTypes],
    see: Callable[[Entry, DecodedEntry], None],
    hide: Callable[[DecodedEntry], DecodedEntry] | None = None,
) -> Conversation[ScanReport]:
    """Pass the newest events of a type, at most `last`, to `see`, newest first, masked by `hide`."""
    until = time.monotonic() + MOST_SECONDS
    scan = Scan(stream, Range(), order="newest", most=MOST_SCANNED, most_bytes=MOST_BYTES)
    events = foreign = scanned = 0
    newest = oldest = None
    masked = False
    stopped: Stopped | None = None
    while not scan.done and events < last and stopped is None:
        (reply,) = yield from ask([scan.command()])
        for found in scan.take_chunk(answer(reply, stream, absent=[])):
            scanned += 1
            decoded = decode_parts(found.parts, types_of=types_of)
            if decoded.event_type == event_type:
                shown = decoded if hide is None else hide(decoded)
                masked = masked or shown is not decoded
                see(found, shown)
                events += 1
                foreign += decoded.layout in ("foreign", "envelope")
                newest, oldest = newest or found.id, found.id
            if events == last:
                break
            if time.monotonic() > until:
                stopped = "seconds"
                break
    if stopped is None and events < last and not scan.exhausted:
        stopped = "entries" if scan.entries >= MOST_SCANNED else "bytes"
    return ScanReport(
        events=events,
        foreign=foreign,
        newest=newest,
        oldest=oldest,
        scanned=scanned,
        stopped=stopped,
        masked=masked,
    )


def id_with_time(id_: str | None) -> dict[str, str | None] | None:
    """Return an entry's id with its timestamp, which is None when the id is beyond the range of a calendar."""
    if id_ is None:
        return None
    return {"id": id_, "time": iso_of(moment_of(id_))}
