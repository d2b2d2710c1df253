"""The wire format of live tails: server-sent events (HTML Living Standard, 9.2), and their response."""

import random
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, Protocol

import orjson

from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.cloudevents.outgoing import cloudevent_of_row, structured
from synapse.formats import exact_json
from synapse.http.exchange import VARY_ACCEPT, StreamedResponse
from synapse.live.chunk_cache import chunks
from synapse.live.positions import Positions, encode_position
from synapse.redis.commands.streams import Entry
from synapse.wire.encoding import decode_texts, pairs, text_fields
from synapse.wire.ids import FIRST, EntryId, parse
from synapse.wire.masking import entry_json, mask_of

# The range of times (milliseconds) after which a browser reconnects, random so that not all come at once.
_RETRY_MS = (1000, 3000)
# Larger entries are not cached as values.
_KEPT_BYTES = 8 * 1024
_HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    # Without this header, nginx holds the response back.
    "X-Accel-Buffering": "no",
    **VARY_ACCEPT,
}


async def stream_response(chunks: AsyncGenerator[bytes, None]) -> StreamedResponse:
    """Return the response that sends chunks of frames. An error before the first chunk is raised, and answered like any
    other.
    """
    first = await anext(chunks)
    return StreamedResponse(first=first, chunks=chunks, content_type="text/event-stream", headers=_HEADERS)


GapReason = Literal["trimmed", "restarted"]
_GAPS: Mapping[GapReason, str] = {
    "trimmed": "Events after this id were trimmed away and may be missing; what follows begins with the oldest kept.",
    "restarted": "The stream was created again; what follows begins with its oldest event.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """An entry as JSON, rendered once for all watchers. `event_type` is "" for an entry without a type.

    Attributes:
        id: the id of the entry.
        part: the id, encoded as a part of the positions of a connection that watches many streams.
        body: the members of the entry's JSON object with the closing brace. Frames begin the object with members of
            their own.
        masked: the body for watchers that may not see PII; empty when the entry holds no PII.
    """

    stream: str
    id: EntryId
    part: bytes
    event_type: str
    body: bytes
    masked: bytes = b""

    def body_for(self, *, personal: bool) -> bytes:
        """Return the body for a watcher: with PII, or masked."""
        return self.body if personal else self.masked or self.body

    def row_for(self, *, personal: bool) -> Mapping[str, Any]:
        """Return the entry as a watcher sees it."""
        body = self.body_for(personal=personal)
        return _row(body) if len(body) <= _KEPT_BYTES else _read_row(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The notice that events of a stream may be missing after an id.

    `id` is the position at which the stream continues: its beginning after a restart.
    """

    stream: str
    reason: GapReason
    after: EntryId

    @property
    def id(self) -> EntryId:
        """The position behind the notice."""
        return FIRST if self.reason == "restarted" else self.after

    @property
    def part(self) -> bytes:
        """The position encoded as a part of the positions of a connection that watches many streams."""
        return encode_position(self.stream, self.id)

    @property
    def members(self) -> Mapping[str, str]:
        """The members of the notice's JSON object, without the stream."""
        return {"reason": self.reason, "after": str(self.after), "detail": _GAPS[self.reason]}


# The items of a stream that a watcher gets.
Item = Frame | Gap


def frame_of(stream: str, entry: Entry, definition: StreamDefinition | None) -> Frame:
    """Return the frame of an entry of a stream. `definition` supplies the contracts and their PII marks."""
    texts = text_fields(pairs(entry.parts))
    decoded = decode_texts(texts, types_of=definition.types_of if definition else {})
    mask = mask_of(definition, decoded)
    id_ = parse(entry.id)
    return Frame(
        stream=stream,
        id=id_,
        part=encode_position(stream, id_),
        event_type=decoded.event_type,
        body=_members_json(entry_json(entry.id, texts, decoded)),
        masked=b"" if mask is None else _members_json(entry_json(entry.id, texts, decoded, mask=mask)),
    )


def _members_json(data: Mapping[str, Any]) -> bytes:
    return orjson.dumps(data)[1:]


def _read_row(body: bytes) -> Mapping[str, Any]:
    row: Mapping[str, Any] = exact_json.loads(b"{" + body)
    return row


# Watchers with filters read the same frames shortly after one another.
_row = lru_cache(maxsize=256)(_read_row)


class Form(Protocol):
    """The form of entries in frames.

    Attributes:
        stream: the beginning of an entry's JSON object that names its stream, with `%s` in place of the name. Names
            need no escapes in JSON.
        is_cached: whether frames have this form for all watchers at all times, so that they are encoded once.
    """

    stream: bytes
    is_cached: bool

    def body(self, frame: Frame, *, personal: bool) -> bytes:
        """Return the remaining members of the entry's JSON object, with the closing brace."""


class Rows:
    """Entries in the form of `GET /streams/{stream}/messages`."""

    stream = b'{"stream":"%s",'
    is_cached = True
    body = staticmethod(Frame.body_for)


class CloudEvents:
    """Entries as CloudEvents in structured mode. An extension attribute names the stream."""

    stream = b'{"synapsestream":"%s",'
    is_cached = False  # the catalog decides a part of them

    def __init__(self, catalog: Callable[[], Snapshot]) -> None:
        self._catalog = catalog

    def body(self, frame: Frame, *, personal: bool) -> bytes:
        """Return the remaining members of the entry's JSON object, with the closing brace."""
        row = frame.row_for(personal=personal)
        event = cloudevent_of_row(self._catalog(), frame.stream, row)
        # An event of another Synapse may have this attribute already.
        attributes = {name: value for name, value in event.attributes.items() if name != "synapsestream"}
        return structured(event._replace(attributes=attributes), otherwise=row["data"])[1:]


class OneStream:
    """Writes the frames of a connection that watches one stream. Their ids are those of entries."""

    def __init__(self, stream: str, positions: Positions, form: Form) -> None:
        self._stream = stream
        self._positions = positions
        self._form = form

    @property
    def position(self) -> bytes:
        """The position of the connection."""
        return str(self._positions.position_of(self._stream)).encode()

    def items(self, items: Sequence[Item], *, personal: bool) -> bytes:
        """Return the frames of the items, each a message that browsers pass to `onmessage`, and move the position
        behind them.
        """
        chunk = _encode_once(self._form, ("one", personal), items, partial(self._encode, items, personal))
        self._positions.advance_all(items)
        return chunk

    def _encode(self, items: Sequence[Item], personal: bool) -> bytes:
        parts: list[bytes] = []
        body = self._form.body
        for item in items:
            if isinstance(item, Frame):
                parts += (b"id: %d-%d\ndata: {" % item.id, body(item, personal=personal), b"\n\n")
            else:
                # After a restart, earlier ids are invalid.
                before = b"id: %s\n" % str(item.id).encode() if item.reason == "restarted" else b""
                parts.append(_named_frame("gap", item.members, before=before))
        return b"".join(parts)


class ManyStreams:
    """Writes the frames of a connection that watches many streams. Their ids are its positions in all of them."""

    def __init__(self, positions: Positions, form: Form) -> None:
        self._positions = positions
        self._form = form
        self._data = b"\ndata: " + form.stream

    @property
    def position(self) -> bytes:
        """The position of the connection."""
        return self._positions.text

    def items(self, items: Sequence[Item], *, personal: bool) -> bytes:
        """Return the frames of the items, each with the name of its stream, and move the positions behind them."""
        position = self._positions.text
        chunk = _encode_once(self._form, ("many", personal, position), items, partial(self._encode, items, personal))
        self._positions.advance_all(items)
        return chunk

    def _encode(self, items: Sequence[Item], personal: bool) -> bytes:
        parts: list[bytes] = []
        body, data = self._form.body, self._data
        for item in items:
            position = self._positions.advance(item)
            if isinstance(item, Frame):
                parts += (b"id: ", position, data % item.stream.encode(), body(item, personal=personal), b"\n\n")
            else:
                parts.append(
                    _named_frame("gap", {"stream": item.stream, **item.members}, before=b"id: %s\n" % position)
                )
        return b"".join(parts)


def _encode_once(form: Form, others: Hashable, items: Sequence[Item], encode: Callable[[], bytes]) -> bytes:
    """Return the frames of items for all watchers with the same form and the same `others`."""
    return chunks.chunk_of(others, items, encode) if form.is_cached else encode()


def opening_frame(at: bytes) -> bytes:
    """Return the first frame: the time after which to reconnect, and the position, which is needed when nothing else
    arrives.
    """
    return b"retry: %d\nid: %s\n\n" % (random.randint(*_RETRY_MS), at)


def heartbeat_frame(at: bytes = b"") -> bytes:
    """Return a comment that keeps the connection open, with the position, if any: a frame without data sets a browser's
    last event id and reaches no listener.
    """
    return b": heartbeat\nid: %s\n\n" % at if at else b": heartbeat\n\n"


def dropped_frame(at: bytes, *, limit: int) -> bytes:
    """Return the frame that tells a watcher that it was too slow, and from which id it can continue."""
    detail = f"More than {limit} events or too many bytes were waiting for you. Come back with this id."
    return _named_frame("dropped", {"reason": "slow", "last_event_id": at.decode(), "detail": detail})


def bye_frame(reason: str, at: bytes = b"") -> bytes:
    """Return the frame that tells a watcher that the server ends the connection, and from which id it can continue."""
    return _named_frame("bye", {"reason": reason, "last_event_id": at.decode()} if at else {"reason": reason})


def _named_frame(name: str, data: Mapping[str, Any], *, before: bytes = b"") -> bytes:
    return b"%sevent: %s\ndata: %s\n\n" % (before, name.encode(), orjson.dumps(data))
