"""Shapes of requests, as a table: each says where it ends in one way, and tries to be read in another.

A shape is the product of what it offers (Upgrade), how its body is framed, in which pieces it is sent, and where it
goes. Its body is an event, or looks like a request that publishes one: that must never be stored. Behind each shape
comes a request that closes the connection, and has to be answered where the shape leaves the connection open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

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
    """What is sent, and how a server that reads it by the RFCs answers.

    `answers`: the statuses that may come, one entry for each answer; `goes_on`: whether the connection is open behind
    it. `stored`: how many of its own events are stored. `method`: of the request, for HEAD has answers without a body.
    """

    name: str
    head: bytes
    body: bytes
    pieces: str
    answers: tuple[frozenset[int], ...]
    goes_on: bool
    stored: int = 0
    method: str = "GET"

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
        return not self.goes_on and min(self.answers[-1]) >= 400


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
    return b"Transfer-Encoding: Chunked \r\n", chunks


FRAMINGS = {"length": by_length, "chunks": by_chunks, "adorned chunks": by_adorned_chunks}
TWO_FRAMINGS = ("length", "chunks")

# Line of the request, status, and whether the body is an event of its own.
TARGETS = {
    "on the fast path": (b"POST /events/orders", {400}),
    "validated": (b"POST /events/orders/validate", {400}),
    "by Django": (b"POST /registry/subjects/orders/versions", {400}),
    "by nobody": (b"POST /nowhere", {404}),
}
WITHOUT_BODIES = {
    "GET on the fast path": (b"GET /streams/orders", {200}),
    "GET by nobody": (b"GET /nowhere", {404}),
    "HEAD": (b"HEAD /streams", {200}),
    "DELETE": (b"DELETE /events/orders", {405}),
    "OPTIONS": (b"OPTIONS /events/orders", {200, 204, 405}),
    "PUT": (b"PUT /events/orders", {405}),
}

# What no two programs read alike. Head lines behind those of the host and the type, and the body; the statuses.
LENGTH_FAULTS = {
    "two lengths in one": b"Content-Length: 5, 5\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n",
    "two unlike lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "a sign": b"Content-Length: +5\r\n",
    "a negative length": b"Content-Length: -5\r\n",
    "a hexadecimal length": b"Content-Length: 0x5\r\n",
    "a length with a blank in it": b"Content-Length: 5 0\r\n",
    "a length with a tab and a letter": b"Content-Length: 5\tx\r\n",
    "a length with a point": b"Content-Length: 5.0\r\n",
    "a length with an exponent": b"Content-Length: 5e0\r\n",
    "a length with an underscore": b"Content-Length: 1_0\r\n",
    "a length of other digits": b"Content-Length: \xd9\xa5\r\n",
    "a length beyond 64 bits": b"Content-Length: 18446744073709551621\r\n",
    "an empty length": b"Content-Length:\r\n",
    "a blank length": b"Content-Length:  \r\n",
    "a length and a comma": b"Content-Length: 5,\r\n",
}
CODING_FAULTS = {
    "a length before chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "a length behind chunks": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "gzip in chunks": b"Transfer-Encoding: gzip, chunked\r\n",
    "gzip and chunks in two lines": b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    "chunks in gzip": b"Transfer-Encoding: chunked, gzip\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n",
    "chunks and identity": b"Transfer-Encoding: chunked, identity\r\n",
    "identity and chunks": b"Transfer-Encoding: identity, chunked\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "identity and a length": b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
    "no coding": b"Transfer-Encoding:\r\n",
    "no coding and a length": b"Transfer-Encoding:\r\nContent-Length: 5\r\n",
    "a comma before": b"Transfer-Encoding: , chunked\r\n",
    "a comma behind": b"Transfer-Encoding: chunked,\r\n",
    "a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "in quotes": b'Transfer-Encoding: "chunked"\r\n',
    "a vertical tab before": b"Transfer-Encoding: \x0bchunked\r\n",
    "a form feed behind": b"Transfer-Encoding: chunked\x0c\r\n",
    "a letter before": b"Transfer-Encoding: xchunked\r\n",
    "a letter behind": b"Transfer-Encoding: chunkedx\r\n",
    "another word": b"Transfer-Encoding: cow\r\n",
    "a hard blank": b"Transfer-Encoding: \xa0chunked\r\n",
}
LINE_FAULTS = {
    "a folded line": b"X-Note: a\r\n Content-Length: 5\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n",
    "a blank before the colon": b"Content-Length : 5\r\n",
    "a blank before the colon of a coding": b"Transfer-Encoding : chunked\r\n",
    "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
    "a line that begins with a blank": b" Transfer-Encoding: chunked\r\n",
    "a bare CR": b"X-Note: a\rTransfer-Encoding: chunked\r\n",
    "a bare LF": b"X-Note: a\nTransfer-Encoding: chunked\r\n",
    "CR CR LF": b"X-Note: a\r\r\nContent-Length: 5\r\n",
    "NUL in a value": b"X-Note: a\x00b\r\n",
    "NUL in a name": b"Transfer-Encoding\x00: chunked\r\n",
    "NUL in a length": b"Content-Length: 5\x00\r\n",
    "a letter that is not ASCII in a name": b"X-N\xf6te: a\r\n",
    "a bracket in a name": b"Content-Length(: 5\r\n",
    "no name": b": chunked\r\n",
    "no colon": b"Transfer-Encoding chunked\r\n",
    "DEL in a value": b"X-Note: a\x7f\r\n",
}
LINE_OF_REQUEST_FAULTS = {
    "CONNECT to a host": b"CONNECT localhost:80 HTTP/1.1",
    "CONNECT to a path": b"CONNECT /events/orders HTTP/1.1",
    "CONNECT to a URL": b"CONNECT http://localhost/events/orders HTTP/1.1",
    "a host as the target": b"GET localhost:80 HTTP/1.1",
    "HTTP/0.9": b"POST /events/orders HTTP/0.9",
    "no version": b"POST /events/orders",
    "HTTP/1.2": b"POST /events/orders HTTP/1.2",
    "HTTP/2.0": b"POST /events/orders HTTP/2.0",
    "HTTP/2": b"POST /events/orders HTTP/2",
    "HTTP/1.10": b"POST /events/orders HTTP/1.10",
    "http/1.1": b"POST /events/orders http/1.1",
    "the preface of HTTP/2": b"PRI * HTTP/2.0",
    "post": b"post /events/orders HTTP/1.1",
    "a tab behind the method": b"POST\t/events/orders HTTP/1.1",
    "NUL in the target": b"POST /events/orders\x00 HTTP/1.1",
    "a blank behind the version": b"POST /events/orders HTTP/1.1 ",
}
CHUNK_FAULTS = {
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a size with a sign": b"+2\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with a blank": b"2 \r\n{}\r\n0\r\n\r\n",
    "a size with an underscore": b"0_2\r\n{}\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "a size that is too small": b"1\r\n{}\r\n0\r\n\r\n",
    "a size that ends with LF": b"2\n{}\r\n0\r\n\r\n",
    "a size that ends with CR": b"2\r{}\r\n0\r\n\r\n",
    "data that ends with LF": b"2\r\n{}\n0\r\n\r\n",
    "data that ends with nothing": b"2\r\n{}0\r\n\r\n",
    "an extension with LF": b"2;a\n{}\r\n0\r\n\r\n",
    "an extension with CR": b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "an extension with LF in quotes": b'2;a="\n"\r\n{}\r\n0\r\n\r\n',
    "a length in the trailer": b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a coding in the trailer": b"2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "the connection's end in the trailer": b"2\r\n{}\r\n0\r\nConnection: close\r\n\r\n",
    "an offer in the trailer": b"2\r\n{}\r\n0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a bare LF in the trailer": b"2\r\n{}\r\n0\r\nX-Note: a\n\r\n",
    "a folded trailer": b"2\r\n{}\r\n0\r\nX-Note: a\r\n b\r\n\r\n",
}
REFUSED = frozenset((400, 501, 505))
CREATED, OK = frozenset((201,)), frozenset((200,))


def shapes() -> list[Shape]:
    """Return all shapes. Each has a number, which is that of its event; what must not be stored has minus that."""
    return [
        *_events(),
        *_bodies_that_look_like_requests(),
        *_in_http_1_0(),
        *_that_close(),
        *_with_expectations(),
        *_refused(),
    ]


def _shape(line: bytes, lines: bytes, framed: tuple[bytes, bytes], **others: object) -> Shape:
    framing, body = framed
    head = b"%b\r\n%b%b%b%b\r\n" % (line, HOST, JSON, lines, framing)
    return Shape(head=head, body=body, **{"method": line.split()[0].decode(), **others})  # type: ignore[arg-type]


_EVENT, _HIDDEN = event(ANY_NUMBER), publish(-ANY_NUMBER)


def _events() -> Iterator[Shape]:
    for offer, framing, pieces in product(OFFERS, FRAMINGS, PIECES):
        name = f"an event, {offer}, {framing}, {pieces}"
        framed = FRAMINGS[framing](_EVENT)
        line = b"POST /events/orders HTTP/1.1"
        yield _shape(line, OFFERS[offer], framed, name=name, pieces=pieces, answers=(CREATED,), goes_on=True, stored=1)


def _bodies_that_look_like_requests() -> Iterator[Shape]:
    for (target, (line, statuses)), offer, framing, pieces in product(
        (TARGETS | WITHOUT_BODIES).items(), FEW_OFFERS, TWO_FRAMINGS, PIECES
    ):
        name = f"a request as the body, {target}, {offer}, {framing}, {pieces}"
        framed, answers = FRAMINGS[framing](_HIDDEN), (frozenset(statuses),)
        yield _shape(
            line + b" HTTP/1.1", OFFERS[offer], framed, name=name, pieces=pieces, answers=answers, goes_on=True
        )
    absolute = b"POST http://elsewhere/events/orders HTTP/1.1"
    for offer, pieces in product(FEW_OFFERS, PIECES):
        name = f"an event, the absolute form, {offer}, {pieces}"
        framed = by_length(_EVENT)
        yield _shape(
            absolute, OFFERS[offer], framed, name=name, pieces=pieces, answers=(CREATED,), goes_on=True, stored=1
        )


def _in_http_1_0() -> Iterator[Shape]:
    line = b"POST /events/orders HTTP/1.0"
    lasting = {"": NO_LINES, ", keep-alive": b"Connection: keep-alive\r\n"}
    for (lasts, lines), offer, pieces in product(lasting.items(), FEW_OFFERS, PIECES):
        name = f"an event, HTTP/1.0{lasts}, {offer}, {pieces}"
        framed = by_length(_EVENT)
        both = lines + OFFERS[offer]
        yield _shape(line, both, framed, name=name, pieces=pieces, answers=(CREATED,), goes_on=False, stored=1)
    for framing, offer in product(("chunks", "adorned chunks"), FEW_OFFERS):
        name = f"HTTP/1.0, {offer}, {framing}"
        framed = FRAMINGS[framing](_HIDDEN)
        yield _shape(line, OFFERS[offer], framed, name=name, pieces="at once", answers=(REFUSED,), goes_on=False)


def _that_close() -> Iterator[Shape]:
    closing = {
        "close": b"Connection: close\r\n",
        "close, Upgrade": b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n",
        "Upgrade, close": b"Connection: Upgrade\r\nUpgrade: h2c\r\nConnection: close\r\n",
    }
    for (close, lines), framing, pieces in product(closing.items(), TWO_FRAMINGS, PIECES):
        line, framed = b"POST /events/orders HTTP/1.1", FRAMINGS[framing](_EVENT)
        name = f"an event, {close}, {framing}, {pieces}"
        yield _shape(line, lines, framed, name=name, pieces=pieces, answers=(CREATED,), goes_on=False, stored=1)


def _with_expectations() -> Iterator[Shape]:
    expecting = b"Expect: 100-continue\r\n"
    for offer, framing, pieces in product(FEW_OFFERS, TWO_FRAMINGS, PIECES):
        name = f"an event that waits for 100, {offer}, {framing}, {pieces}"
        line, framed = b"POST /events/orders HTTP/1.1", FRAMINGS[framing](_EVENT)
        lines = expecting + OFFERS[offer]
        yield _shape(line, lines, framed, name=name, pieces=pieces, answers=(CREATED,), goes_on=True, stored=1)


def _refused() -> Iterator[Shape]:
    line = b"POST /events/orders HTTP/1.1"
    lines_of = {**LENGTH_FAULTS, **CODING_FAULTS, **LINE_FAULTS}
    for (fault, lines), offer in product(lines_of.items(), ("no offer", "h2c")):
        name = f"refused, {fault}, {offer}"
        framed = lines, _HIDDEN
        yield _shape(line, OFFERS[offer], framed, name=name, pieces="at once", answers=(REFUSED,), goes_on=False)
        yield _shape(
            line,
            OFFERS[offer],
            framed,
            name=f"{name}, HTTP/1.0",
            pieces="head and body",
            answers=(REFUSED,),
            goes_on=False,
        )
    for (fault, other), offer in product(LINE_OF_REQUEST_FAULTS.items(), ("no offer", "h2c")):
        name = f"refused, {fault}, {offer}"
        framed = by_length(_HIDDEN)
        yield _shape(other, OFFERS[offer], framed, name=name, pieces="at once", answers=(REFUSED,), goes_on=False)
    for (fault, chunks), offer, pieces in product(CHUNK_FAULTS.items(), ("no offer", "h2c"), PIECES):
        name = f"refused, {fault}, {offer}, {pieces}"
        framed = b"Transfer-Encoding: chunked\r\n", chunks + _HIDDEN
        yield _shape(line, OFFERS[offer], framed, name=name, pieces=pieces, answers=(REFUSED,), goes_on=False)
