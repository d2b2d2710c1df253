"""The entries of a stream: a page of them, or one."""

import orjson

from synapse.auth.principal import EVERY_TYPE, PERSONAL, Rights, sees
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.errors.streams import UnknownEntry
from synapse.http.exchange import Request, Response, json_response
from synapse.inspection.range_query import (
    MOST_ENTRIES,
    Scan,
    asked_count,
    asked_id,
    asked_order,
    asked_range,
    check_parameters,
)
from synapse.inspection.streams import readable
from synapse.redis import Conversation, answer, ask, in_parts
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.wire import entry
from synapse.wire.entry import pairs
from synapse.wire.entry_json import shown
from synapse.wire.fast_decoder import type_of_parts
from synapse.wire.masking import mask_of

MOST_MESSAGES, USUAL_MESSAGES = 1000, 10
# So many are read without waiting for a turn.
FEW_MESSAGES = 99


def messages(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}/messages`: the entries that the query asks for, in pages.

    `next` is where the next page begins: the value for `before` (newest first) or `after` (oldest first), None when
    there is no more. `complete` is False when the page ended early because enough had been looked at.

    Raises:
        BadParameter: when a query parameter cannot be used.
        Forbidden, UnknownStream, NotAStream, Unavailable: as their names say.
    """
    stream = readable(request, catalog)
    check_parameters(request, "count", "order", "event_type", "since", "until", "after", "before")
    order = asked_order(request.query)
    page = _Page(
        stream,
        count=asked_count(request.query, most=MOST_MESSAGES, otherwise=USUAL_MESSAGES),
        event_type=request.query.get("event_type", ""),
        rights=request.principal.rights,
    )
    # Without a filter one entry more than the page holds tells whether there is a next one.
    most = MOST_ENTRIES if page.is_choosy else page.count + 1
    scan = Scan(stream.name, asked_range(request.query), order=order, most=most)
    while not scan.done and not page.full:
        (reply,) = yield from ask([scan.command()])
        yield ()  # many may have been answered at once
        yield from in_parts(scan.take(answer(reply, stream.name, absent=[])), page.offer)
    ended = scan.exhausted and not page.full
    return json_response(
        {
            "stream": stream.name,
            "messages": page.messages,
            "order": order,
            "next": None if ended else page.position,
            "scanned": page.scanned,
            "complete": ended or page.full,
        }
    )


def is_long(request: Request) -> bool:
    """Say whether `messages` may have to look at many entries."""
    rights = request.principal.rights
    if request.query.get("event_type") or not rights.may("read", request.params["stream"], EVERY_TYPE):
        return True
    text = request.query.get("count", "")
    return len(text) > len(str(FEW_MESSAGES))


def message(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}/messages/{id}`.

    Raises:
        BadRequest: when the id is none.
        UnknownEntry: when the stream holds no such entry, or none that the caller may read.
        Forbidden, UnknownStream, NotAStream, Unavailable: as their names say.
    """
    stream = readable(request, catalog)
    check_parameters(request)
    id_ = str(asked_id(request.params["id"]))
    (reply,) = yield from ask([stream_commands.xrange(stream.name, id_, id_, 1)])
    found = answer(reply, stream.name, absent=[])
    fields = pairs(found[0].parts) if found else {}
    decoded = entry.decode(fields, types_of=stream.types_of)
    if not found or not sees(request.principal.rights, stream.name, decoded.event_type):
        raise UnknownEntry(f"The stream “{stream.name}” holds no entry {id_}: it never did, or it was trimmed.")
    mask = None if request.principal.rights.has(PERSONAL) else mask_of(stream, decoded)
    return json_response({"stream": stream.name, **shown(id_, fields, decoded, mask=mask)})


class _Page:
    """The messages of an answer: up to `count` of those that are of the event type, or of all when that is "", and
    that the caller may read; what is personal in them is masked for who may not see it."""

    def __init__(self, stream: StreamDefinition, *, count: int, event_type: str, rights: Rights) -> None:
        self._stream = stream
        self.count = count
        self.event_type = event_type
        self._rights = None if rights.may("read", stream.name, EVERY_TYPE) else rights
        self._personal = rights.has(PERSONAL)
        self.messages: list[orjson.Fragment] = []
        self.scanned = 0
        self.position: str | None = None
        self.full = False

    @property
    def is_choosy(self) -> bool:
        """Whether entries may be passed over."""
        return bool(self.event_type) or self._rights is not None

    def _wants(self, event_type: str) -> bool:
        if self.event_type and event_type != self.event_type:
            return False
        return self._rights is None or sees(self._rights, self._stream.name, event_type)

    def offer(self, found: Entry) -> None:
        """Look at the next entry; one more than the page can hold makes it full."""
        if self.full or len(self.messages) == self.count:
            self.full = True
            return
        self.scanned += 1
        self.position = found.id
        # Most of what is passed over is told by its type's own bytes.
        raw_type = type_of_parts(found.parts) if self.is_choosy else None
        if raw_type is not None and not self._wants(raw_type):
            return
        fields = pairs(found.parts)
        decoded = entry.decode(fields, types_of=self._stream.types_of)
        if self._wants(decoded.event_type):
            mask = None if self._personal else mask_of(self._stream, decoded)
            # Written at once: no value is kept, and the whole answer is not written at a stretch.
            self.messages.append(orjson.Fragment(orjson.dumps(shown(found.id, fields, decoded, mask=mask))))
