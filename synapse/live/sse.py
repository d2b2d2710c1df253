"""The wire format of live tails: server-sent events (HTML Living Standard, 9.2), and their response."""

import random
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.formats import exact_json
from synapse.http.exchange import StreamedResponse
from synapse.redis.commands.streams import Entry
from synapse.wire.encoding import decode_texts, pairs, text_fields
from synapse.wire.ids import FIRST, EntryId, parse
from synapse.wire.masking import entry_json, mask_of

# When a browser comes back after the connection was lost, in milliseconds: not all in the same moment.
_RETRY_MS = (1000, 3000)
_DATA = b"\ndata: "
# Larger entries are not kept as values.
_KEPT_BYTES = 8 * 1024
_HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    # For nginx, which otherwise holds back what it passes on.
    "X-Accel-Buffering": "no",
}


async def streamed(chunks: AsyncGenerator[bytes, None]) -> StreamedResponse:
    """Return the answer that sends chunks of frames. An error before the first chunk is raised, and answered as
    everywhere else."""
    first = await anext(chunks)
    return StreamedResponse(first=first, chunks=chunks, content_type="text/event-stream", headers=_HEADERS)


GapReason = Literal["trimmed", "restarted"]
_GAPS: Mapping[GapReason, str] = {
    "trimmed": "Events after this id were trimmed away and may be missing; what follows begins with the oldest kept.",
    "restarted": "The stream was created again; what follows begins with its oldest event.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """An entry as a server-sent event, rendered once for all watchers. `event_type` is "" when it names none.

    `masked` is for watchers without payload access; empty where the entry holds no PII.
    """

    id: EntryId
    event_type: str
    text: bytes
    masked: bytes = b""

    def text_for(self, *, personal: bool) -> bytes:
        """Return the frame for a watcher: with PII, or masked."""
        return self.text if personal else self.masked or self.text

    def row_for(self, *, personal: bool) -> Mapping[str, Any] | None:
        """Return the entry as a watcher sees it; None for a frame that holds no entry."""
        text = self.text_for(personal=personal)
        return _row(text) if len(text) <= _KEPT_BYTES else _read_row(text)


def of_entry(entry: Entry, stream: StreamDefinition | None) -> Frame:
    """Return the frame of an entry: a message, which browsers hand to `onmessage`. `stream` defines its contracts."""
    texts = text_fields(pairs(entry.parts))
    decoded = decode_texts(texts, types_of=stream.types_of if stream else {})
    mask = mask_of(stream, decoded)
    return Frame(
        id=parse(entry.id),
        event_type=decoded.event_type,
        text=_message(entry.id, entry_json(entry.id, texts, decoded)),
        masked=b"" if mask is None else _message(entry.id, entry_json(entry.id, texts, decoded, mask=mask)),
    )


def opening(at: EntryId | int) -> bytes:
    """Return the first frame: when to come back after a break, and from where, even if nothing else was received."""
    return b"retry: %d\nid: %s\n\n" % (random.randint(*_RETRY_MS), str(at).encode())


def heartbeat(at: EntryId | None = None) -> bytes:
    """Return a comment that keeps the connection open, with the position in the stream, if any: a frame without data
    sets a browser's last event id and is handed to no listener."""
    return b": heartbeat\n\n" if at is None else b": heartbeat\nid: %s\n\n" % str(at).encode()


def gap(reason: GapReason, after: EntryId) -> bytes:
    """Return the frame that reports possibly missing events after an id. After a restart, earlier ids are void."""
    id_ = b"id: %s\n" % str(FIRST).encode() if reason == "restarted" else b""
    return _named("gap", {"reason": reason, "after": str(after), "detail": _GAPS[reason]}, before=id_)


def dropped(at: EntryId, *, limit: int) -> bytes:
    """Tell a watcher that it was too slow, and where it can continue."""
    detail = f"More than {limit} events or too many bytes were waiting for you. Come back with this id."
    return _named("dropped", {"reason": "slow", "last_event_id": str(at), "detail": detail})


def bye(reason: str, at: EntryId | None = None) -> bytes:
    """Say that the server ends the connection, and from where a watcher of entries can continue."""
    return _named("bye", {"reason": reason} if at is None else {"reason": reason, "last_event_id": str(at)})


def joined(frames: Iterable[Frame], *, personal: bool) -> bytes:
    """Return the bytes of the frames, with PII or masked."""
    return b"".join([frame.text_for(personal=personal) for frame in frames])


def _read_row(text: bytes) -> Mapping[str, Any] | None:
    name, _, data = text.partition(_DATA)
    return exact_json.loads(data) if name.startswith(b"id: ") and b"\n" not in name else None


# Watchers with filters come to the same frames one after the other.
_row = lru_cache(maxsize=256)(_read_row)


def _message(id_: str, data: Mapping[str, Any]) -> bytes:
    return b"id: %s%s%s\n\n" % (id_.encode(), _DATA, orjson.dumps(data))


def _named(name: str, data: Mapping[str, Any], *, before: bytes = b"") -> bytes:
    return b"%sevent: %s\ndata: %s\n\n" % (before, name.encode(), orjson.dumps(data))
