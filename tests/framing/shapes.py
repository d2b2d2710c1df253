"""Shapes of requests, as a table: each says where it ends in one way, and tries to be read in another.

A shape is the product of what it offers (Upgrade), how its body is framed, in which pieces it is sent, and where it
goes. Its body is an event, or looks like a request that publishes one: that must never be stored. Behind each shape
comes a request that closes the connection, and has to be answered where the shape leaves the connection open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from tests.framing.faults import CHUNKS, CODINGS, LENGTHS, LINES, LINES_OF_REQUESTS

JSON = b"Content-Type: application/json\r\n"
HOST = b"Host: localhost\r\n"
NEXT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
NO_LINES = b""
# Stands for the number of a shape's event, which has as many digits.
ANY_NUMBER = 7_000_000

OFFERS = {
    "no offer": NO_LINES,
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "TLS": b"Upgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n",
    "in a list": b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n",
    "in capitals": b"CONNECTION: UPGRADE\r\nUPGRADE: H2C\r\n",
    "with blanks": b"Connection:\tkeep-alive ,  uPgRaDe ,HTTP2-Settings  \r\nUpgrade:  h2c \r\n",
    "in two lines": b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\n",
    "twice": b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    "to a proxy": b"Proxy-Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "not announced": b"Upgrade: h2c\r\n",
    "announced only": b"Connection: Upgrade\r\n",
    "of nothing": b"Connection: Upgrade\r\nUpgrade:\r\n",
}
FEW_OFFERS = ("no offer", "h2c", "websocket")

PIECES = ("at once", "head and body", "byte by byte")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A request sent in pieces, and the answer of a server that reads it by the RFCs.

    `statuses`: those that its answer may have. `ends`: where the connection ends with the answer: nowhere, between
    Synapse and its client, or also on the other side of a proxy. `stored`: how many of its own events are stored.
    `method`: of the request, for HEAD has answers without a body.
    """

    name: str
    head: bytes
    body: bytes
    pieces: str
    method: str
    statuses: set[int]
    ends: Literal["nowhere", "here", "everywhere"] = "nowhere"
    stored: int = 0

    def sent(self, number: int) -> Iterator[bytes]:
        """Return the pieces in which it is sent, with the request behind it. `number` is that of its event."""
        head, body = (part.replace(b"%d" % ANY_NUMBER, b"%d" % number) for part in (self.head, self.body))
        if self.pieces == "at once":
            yield head + body + NEXT
        elif self.pieces == "head and body":
            yield head
            yield body + NEXT
        else:
            yield from (bytes([byte]) for byte in head + body)
            yield NEXT

    @property
    def is_refused(self) -> bool:
        return self.ends == "everywhere" and not self.stored


def event(number: int) -> bytes:
    return b'{"event_type":"order-placed","n":%d}' % number


def publish(number: int) -> bytes:
    """Return a whole request that publishes an event."""
    body = event(number)
    return b"POST /events/orders HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (HOST, JSON, len(body), body)


def by_length(body: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: %d\r\n" % len(body), body


def by_chunks(body: bytes) -> tuple[bytes, bytes]:
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return b"Transfer-Encoding: chunked\r\n", parts + b"0\r\n\r\n"


def by_adorned_chunks(body: bytes) -> tuple[bytes, bytes]:
    chunks = b'00%X;a;b=c;d="e;f"\r\n%b\r\n000;last\r\nX-Trailer: 1\r\nUpgrade: h2c\r\n\r\n' % (len(body), body)
    return b"Transfer-Encoding:  chunked \r\n", chunks


FRAMINGS = {"length": by_length, "chunks": by_chunks, "adorned chunks": by_adorned_chunks}
TWO_FRAMINGS = ("length", "chunks")

# The line of the request without its version, and the statuses of its answer when the body is no JSON.
TARGETS = {
    "on the fast path": (b"POST /events/orders", {400}),
    "validated": (b"POST /events/orders/validate", {400}),
    "by Django": (b"POST /registry/subjects/orders/versions", {400}),
    "by nobody": (b"POST /nowhere", {404}),
    "GET on the fast path": (b"GET /streams/orders", {200}),
    "GET by nobody": (b"GET /nowhere", {404}),
    "GET of a WebSocket": (b"GET /ws", {426}),
    "HEAD": (b"HEAD /streams", {200}),
    "DELETE": (b"DELETE /events/orders", {405}),
    "OPTIONS": (b"OPTIONS /events/orders", {200}),
    "PUT": (b"PUT /events/orders", {405}),
}
# Targets that name their host, without an address where WebSocket is served: an offer of it is ignored.
ABSOLUTE_TARGETS = {
    "a host alone": (b"GET http://localhost", {302}),
    "a host and a path": (b"GET http://localhost/nowhere", {404}),
}


def shapes() -> list[Shape]:
    """Return all shapes."""
    return [
        *_events(),
        *_bodies_that_look_like_requests(),
        *_without_bodies(),
        *_of_http_1_0(),
        *_that_close(),
        *_refused(),
    ]


# What must not be stored has the number of its shape, and a minus.
_EVENT, _HIDDEN = event(ANY_NUMBER), publish(-ANY_NUMBER)
_LINE = b"POST /events/orders HTTP/1.1"


def _shape(line: bytes, lines: bytes, framed: tuple[bytes, bytes], **others: Any) -> Shape:
    framing, body = framed
    head = b"%b\r\n%b%b%b%b\r\n" % (line, HOST, JSON, lines, framing)
    return Shape(head=head, body=body, method=line.split()[0].decode(), **others)


def _events() -> Iterator[Shape]:
    ways = {
        "an event": (_LINE, NO_LINES, OFFERS, FRAMINGS),
        "an event, the absolute form": (
            _LINE.replace(b"/", b"http://localhost/", 1),
            NO_LINES,
            FEW_OFFERS,
            TWO_FRAMINGS,
        ),
        "an event that waits for 100": (_LINE, b"Expect: 100-continue\r\n", FEW_OFFERS, TWO_FRAMINGS),
    }
    for way, (line, lines, offers, framings) in ways.items():
        for offer, framing, pieces in product(offers, framings, PIECES):
            name = f"{way}, {offer}, {framing}, {pieces}"
            framed = FRAMINGS[framing](_EVENT)
            yield _shape(line, lines + OFFERS[offer], framed, name=name, pieces=pieces, statuses={201}, stored=1)


def _bodies_that_look_like_requests() -> Iterator[Shape]:
    for target, offer, framing, pieces in product(TARGETS, FEW_OFFERS, TWO_FRAMINGS, PIECES):
        name = f"a request as the body, {target}, {offer}, {framing}, {pieces}"
        line, statuses = TARGETS[target]
        framed = FRAMINGS[framing](_HIDDEN)
        yield _shape(line + b" HTTP/1.1", OFFERS[offer], framed, name=name, pieces=pieces, statuses=statuses)


def _without_bodies() -> Iterator[Shape]:
    for (target, (line, statuses)), offer, pieces in product(ABSOLUTE_TARGETS.items(), FEW_OFFERS, PIECES):
        name = f"no body, {target}, {offer}, {pieces}"
        yield _shape(line + b" HTTP/1.1", OFFERS[offer], (NO_LINES, b""), name=name, pieces=pieces, statuses=statuses)


def _of_http_1_0() -> Iterator[Shape]:
    line = _LINE.replace(b"1.1", b"1.0")
    lasting = {"": NO_LINES, ", keep-alive": b"Connection: keep-alive\r\n"}
    for lasts, offer, pieces in product(lasting, FEW_OFFERS, PIECES):
        name = f"an event, HTTP/1.0{lasts}, {offer}, {pieces}"
        lines, framed = lasting[lasts] + OFFERS[offer], by_length(_EVENT)
        yield _shape(line, lines, framed, name=name, pieces=pieces, statuses={201}, ends="here", stored=1)
    for framing, offer in product(("chunks", "adorned chunks"), FEW_OFFERS):
        framed = FRAMINGS[framing](_EVENT)
        yield _refusal(f"HTTP/1.0, {framing}", line, OFFERS[offer], framed, offer=offer)


def _that_close() -> Iterator[Shape]:
    closing = {
        "close": b"Connection: close\r\n",
        "close, Upgrade": b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n",
        "Upgrade, close": b"Connection: Upgrade\r\nUpgrade: h2c\r\nConnection: close\r\n",
    }
    for close, framing, pieces in product(closing, TWO_FRAMINGS, PIECES):
        name = f"an event, {close}, {framing}, {pieces}"
        framed = FRAMINGS[framing](_EVENT)
        yield _shape(
            _LINE, closing[close], framed, name=name, pieces=pieces, statuses={201}, ends="everywhere", stored=1
        )


def _refused() -> Iterator[Shape]:
    chunked, length = by_chunks(_EVENT)[1], b"%d" % len(_EVENT)
    lengths = {fault: (odd.replace(b"0xN", hex(len(_EVENT)).encode()), _EVENT) for fault, odd in LENGTHS.items()}
    faults = {
        **{fault: (odd.replace(b"N", length), body) for fault, (odd, body) in lengths.items()},
        **{fault: (odd, chunked) for fault, odd in CODINGS.items()},
        **{fault: (odd, chunked if b"chunked" in odd else _HIDDEN) for fault, odd in LINES.items()},
    }
    for offer in ("no offer", "h2c"):
        lines = OFFERS[offer]
        for fault, framed in faults.items():
            yield _refusal(fault, _LINE, lines, framed, offer=offer)
            yield _refusal(f"{fault}, HTTP/1.0", _LINE.replace(b"1.1", b"1.0"), lines, framed, offer=offer)
        for fault, line in LINES_OF_REQUESTS.items():
            yield _refusal(fault, line, lines, by_length(_EVENT), offer=offer)
        for (fault, chunks), pieces in product(CHUNKS.items(), PIECES):
            framed = b"Transfer-Encoding: chunked\r\n", chunks + _HIDDEN
            yield _refusal(fault, _LINE, lines, framed, offer=offer, pieces=pieces)


def _refusal(
    fault: str, line: bytes, lines: bytes, framed: tuple[bytes, bytes], *, offer: str, pieces: str = "at once"
) -> Shape:
    name = f"refused, {fault}, {offer}, {pieces}"
    return _shape(line, lines, framed, name=name, pieces=pieces, statuses={400, 501, 505}, ends="everywhere")
