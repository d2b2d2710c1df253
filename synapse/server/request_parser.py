"""The parser of a connection's requests, which finds the end of each and limits the size of its head.

The length of a request follows from its framing alone (RFC 9112, 6.3). httptools ends a request after its head when the
head offers another protocol (`Upgrade`) or is a CONNECT, and takes the rest for the next request. Here such an offer is
ignored (RFC 9110, 7.8): the head is parsed again without it. The one exception is a WebSocket handshake without a body,
if the receiver serves WebSocket: nothing is parsed after it. A request that this parser and a proxy may read
differently is refused, and so is one whose head is too large (RFC 6585, 5): without a limit, a client could fill the
memory with endless headers.
"""

import logging
import re
from typing import Any, Literal, Protocol

import httptools

MAX_HEAD_BYTES = 16 * 1024
MAX_HEADERS = 100

_LENGTH = b"content-length"
_CODING = b"transfer-encoding"
# The authority and the rest of a target that has both.
_ABSOLUTE_FORM = re.compile(rb"[A-Za-z]+://([^/?#]*)(.*)")
# httptools counts these headers in a trailer as in a head, and would then read nothing more of an open connection.
_CONNECTION = frozenset((b"connection", b"proxy-connection"))

logger = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not read further. Its connection ends with this response, or without one when `status` is 0."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Receiver(Protocol):
    """Takes the parsed requests."""

    def is_over(self) -> bool:
        """Say whether the connection ends with the earlier requests."""

    def accepts_websocket(self, target: bytes) -> bool:
        """Say whether WebSocket is served at a target, which is in origin form or `*`."""

    def accept_head(self) -> Any:
        """Create a request from the head that was parsed last."""

    def begin_request(self, request: Any) -> None:
        """Begin the request. The calls below refer to it."""

    def take_body(self, part: bytes) -> None:
        """Take a part of the request's body."""

    def end_request(self) -> None:
        """End the request: its body is complete."""


class _Trailers:
    """Drops the trailer fields of a chunked body: they do not belong to the head, and must not add headers that a proxy
    removed from the head (RFC 9110, 6.5.1).
    """

    def append(self, field: tuple[bytes, bytes]) -> None:
        if field[0] in _CONNECTION:
            raise Refused(400, "A trailer must not name Connection: it comes too late to say what the connection does.")


_TRAILERS: Any = _Trailers()


class RequestParser:
    """Parses the requests of one connection, and refuses those whose end is ambiguous.

    Attributes:
        part: The part of a request that is expected next; None after a complete request.
        has_ended: Whether the last piece ended a request.
        head_bytes: The number of bytes of an unfinished head so far.
        url, headers, version: Those of the head that was parsed last, with names in lower case.
        length: Its Content-Length, empty without one. It is not in `headers`, because most requests of a caller
            differ only in it.
        expects_continue: Whether the client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1).
        is_handshake: Whether the head that was parsed last is a WebSocket handshake, after which nothing is parsed.
        behind_handshake: The bytes that followed the handshake.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._allow_more_requests()
        self.part: Literal["head", "body"] | None = "head"
        self.has_ended = False
        self.head_bytes = 0
        self.url = self.length = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.version = "1.1"
        self.expects_continue = False
        self.is_handshake = False
        self.behind_handshake = b""
        self._offers_upgrade = False
        # The bytes of the current piece, and of all pieces that hold the request's head, which bound the size of the
        # head.
        self._piece = self._at_most = 0
        # The number of bytes after the last chunk of a body, and whether this piece had any bytes of a body.
        self._behind_body = 0
        self._has_body = False

    @property
    def method(self) -> bytes:
        """The method of the head that was parsed last."""
        return self._parser.get_method()

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may stay open after that request."""
        return self.version == "1.1" and self._parser.should_keep_alive()

    def head_size(self) -> int:
        """Return the approximate size of the last head, in bytes."""
        return len(self.url) + sum(len(name) + len(text) + 4 for name, text in self.headers)

    def feed(self, piece: bytes) -> None:
        """Parse the next piece of the connection.

        Raises:
            Refused: when the connection must end.
        """
        if self.is_handshake:
            self.behind_handshake += piece
            return
        before, self.has_ended = self.part, False
        self._piece = len(piece)
        self._at_most += self._piece
        try:
            self._parse(piece)
        except httptools.HttpParserError as error:
            raise _refusal_of(error) from None
        if self.part is None and not self.has_ended:
            self.part, self.head_bytes = "head", 0  # blank lines: httptools begins a request after them
        if self.part == "body":
            self._count_behind_body(0 if self._has_body or self.has_ended or before != "body" else len(piece))
        # A piece that also ended a request is not counted, because the size of the next request's part in it is
        # unknown.
        elif self.part == "head" and not self.has_ended:
            self.head_bytes += len(piece)
            if self.head_bytes > MAX_HEAD_BYTES:
                raise Refused(431)

    def close(self) -> None:
        """Release the receiver, which refers to this parser. The parser gets no more data."""
        self._parser = self._receiver = None  # type: ignore[assignment]

    def _parse(self, piece: bytes | memoryview) -> None:
        while True:
            try:
                self._parser.feed_data(piece)
                return
            except httptools.HttpParserUpgrade as offer:
                begin = offer.args[0]
            # Outside the block above, so that an error here is not taken for one of a callback.
            self.is_handshake = self._is_handshake()
            self._parse_without_offer()
            piece = memoryview(piece)[begin:]
            if self.is_handshake:
                self.behind_handshake = bytes(piece)
                return

    def _is_handshake(self) -> bool:
        """Say whether the last head, which offers another protocol, is a WebSocket handshake (RFC 6455, 4.2.1) for a
        target with WebSocket. A request with a body is not one, because its body would be read as frames.
        """
        offered = header_tokens(self.headers, b"upgrade")
        return (
            b"websocket" in offered
            and b"upgrade" in header_tokens(self.headers, b"connection")
            and self.method == b"GET"
            and self._parser.get_http_version() == "1.1"
            and not self.length.strip(b"0")
            and not any(name == _CODING for name, _ in self.headers)
            and self._receiver.accepts_websocket(_origin_form(self.url)[0])
        )

    def _parse_without_offer(self) -> None:
        """Parse the last head again, as if it offered no other protocol."""
        head = [b"%b %b HTTP/%b" % (self.method, self.url, self._parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        if self.length:
            head.append(b"content-length: " + self.length)
        # A new parser, because the old one reads nothing after `Connection: close`.
        self._parser = httptools.HttpRequestParser(self)
        self._allow_more_requests()
        self._offers_upgrade = False
        self._parser.feed_data(b"\r\n".join([*head, b"", b""]))

    def _allow_more_requests(self) -> None:
        """Continue parsing after a request with `Connection: close`. `is_over` then ends the connection in its turn."""
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _count_behind_body(self, size: int) -> None:
        """Count the bytes of a piece without any bytes of a body; `size` is 0 for other pieces. The trailer after the
        last chunk may be as large as a head: the parser keeps it, and each piece takes longer.
        """
        self._has_body = False
        self._behind_body = self._behind_body + size if size else 0
        if self._behind_body > MAX_HEAD_BYTES:
            raise Refused(431)

    # Called by httptools.

    def on_message_begin(self) -> None:
        if self._receiver.is_over():
            # RFC 9112, 9.6: the parser continues, although the server decided to close.
            raise Refused(0, "The connection ends with the request before.")
        self.url = self.length = b""
        self.expects_continue = False
        self.headers = []
        self.part = "head"
        self.head_bytes = 0
        self._at_most = self._piece

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == _LENGTH:
            self.length = value  # at most once: the parser refuses a second one
            return
        if name == b"expect" and value.lower() == b"100-continue":
            self.expects_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS or (self._at_most > MAX_HEAD_BYTES and self.head_size() > MAX_HEAD_BYTES):
            raise Refused(431)
        if self._parser.should_upgrade():
            if self.method == b"CONNECT":
                raise Refused(501, "Synapse is no proxy: it opens no tunnel with CONNECT.")
            self._offers_upgrade = True  # the head is parsed again without this header
            return
        self.version = self._parser.get_http_version()
        # The parser refuses a length together with a coding.
        if not self.length or self.version != "1.1":
            self._check_coding()
        self.url, host = _origin_form(self.url)
        if host is not None:
            self.headers = [(name, host if name == b"host" else text) for name, text in self.headers]
        request = self._receiver.accept_head()
        self.headers = _TRAILERS
        # Not earlier: without a request there is none to refuse.
        self.part = "body"
        self._receiver.begin_request(request)

    def on_body(self, body: bytes) -> None:
        self._has_body = True
        self._receiver.take_body(body)

    def on_message_complete(self) -> None:
        if not self._offers_upgrade:
            self.part = None
            self.has_ended = True
            self._receiver.end_request()

    def _check_coding(self) -> None:
        if self.version not in ("1.0", "1.1"):
            raise Refused(505, f"Synapse speaks HTTP/1.1 and HTTP/1.0, not HTTP/{self.version}.")
        codings = [value for name, value in self.headers if name == _CODING]
        if self.version == "1.0":
            self.expects_continue = False  # RFC 9110, 10.1.1
            if codings:  # RFC 9112, 6.1
                raise Refused(400, "HTTP/1.0 has no Transfer-Encoding. Send HTTP/1.1, or a Content-Length.")
        # Case does not matter in names of codings (RFC 9112, 7). But clients write this one like the RFC, and a proxy
        # that compares case-sensitively would see another end.
        elif codings and [coding.strip(b" \t") for coding in codings] != [b"chunked"]:  # RFC 9112, 6.1
            named = b", ".join(codings).decode("latin-1")
            raise Refused(501, f"Transfer-Encoding can only be “chunked”, not “{named}”.")


def _origin_form(target: bytes) -> tuple[bytes, bytes | None]:
    """Split a target into its origin form and its host, None when the target names no host.

    The host in a target takes precedence over the header (RFC 9112, 3.2.2).

    Raises:
        HttpParserError: when the target is not a URL.
    """
    if target.startswith(b"/"):
        return target, None
    httptools.parse_url(target)
    if (found := _ABSOLUTE_FORM.fullmatch(target)) is None:
        return target, None
    host, rest = found.groups()
    return (rest if rest.startswith(b"/") else b"/" + rest), host


def header_tokens(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the tokens of a header that is a list of tokens, in lower case (RFC 9110, 5.6.1)."""
    return [token.strip(b" \t").lower() for each, text in headers if each == name for token in text.split(b",")]


def _refusal_of(error: httptools.HttpParserError) -> Refused:
    raised = error.__context__  # raised by a callback
    if isinstance(raised, Refused):
        return raised
    if raised is None or isinstance(raised, httptools.HttpParserError):
        return Refused(400, f"This is not HTTP: {error}.")
    logger.error("reading a request failed", exc_info=raised)
    return Refused(500, "Something went wrong inside Synapse; its log says more.")
