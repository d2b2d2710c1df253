"""uvicorn's HTTP protocol with framing that no header can change, and answers for HTTP/1.0.

The length of a request follows from its framing alone (RFC 9112, 6.3). The parser ends a request after its head when
that offers another protocol (`Upgrade`) or is a CONNECT, and takes the rest for the next request. Here an offer is
passed over (RFC 9110, 7.8): the head is parsed again without it. A request that the parser and a proxy may read
differently is refused, and its connection closed. Clients that speak HTTP/1.0 know no chunks: the end of the
connection ends their answers (RFC 9112, 6.1).
"""

import logging
from collections.abc import Mapping
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


def without_chunks(app: Any, cycle: RequestResponseCycle) -> Any:
    """Return an ASGI application that has uvicorn write an answer without a length as it is.

    uvicorn does so for an answer of a known length only, so each part is announced to it as the whole length.
    """

    async def run(scope: Any, receive: Any, send: Any) -> None:
        ends_with_connection = False

        async def send_plainly(message: Mapping[str, Any]) -> None:
            nonlocal ends_with_connection
            if message["type"] == "http.response.start":
                ends_with_connection = all(name != b"content-length" for name, _ in message["headers"])
                if ends_with_connection:
                    cycle.chunked_encoding = False
            elif ends_with_connection:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return run


_LENGTH = b"content-length"
_CODING = b"transfer-encoding"
# A parser counts these in a trailer as in a head, and would read nothing more of a connection that stays.
_CONNECTION = frozenset((b"connection", b"proxy-connection"))


logger = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not read on; its connection ends with this answer, or without one when `status` is 0."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Trailers:
    """Takes the fields behind a body in chunks, and keeps none: they are not of this request's head and not of the
    next one's, and what a proxy took out of the head must not come in by them (RFC 9110, 6.5.1)."""

    def append(self, field: tuple[bytes, bytes]) -> None:
        if field[0] in _CONNECTION:
            raise Refused(400, "A trailer must not name Connection: it comes too late to say what the connection does.")


class FramedHttpProtocol(HttpToolsProtocol):
    """Parses requests, and refuses those whose end is in doubt."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.version = "1.1"
        # The request's Content-Length, empty without one. It is not among `headers`: most of a caller's requests
        # differ in nothing else.
        self.length = b""
        self._offers_upgrade = False

    def may_switch_protocols(self) -> bool:
        """Say whether a request may leave HTTP. No route does: one for WebSockets would be named here, by `self.url`,
        and take the connection in `_parse`."""
        return False

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self.refuse(*_reason(error))

    def _parse(self, piece: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(piece)
                return
            except httptools.HttpParserUpgrade as offer:
                begin = offer.args[0]
            # Not in the block above: an error that is raised there tells of the offer, not of what a callback raised.
            self._parse_without_offer()
            piece = memoryview(piece)[begin:]

    def _parse_without_offer(self) -> None:
        """Parse the head that came last again, as if it offered no other protocol."""
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        if self.length:
            head.append(b"content-length: " + self.length)
        # Not the same parser: behind `Connection: close` it reads nothing more.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._offers_upgrade = False
        self.parser.feed_data(b"\r\n".join([*head, b"", b""]))

    def refuse(self, status: int, text: str) -> None:
        """End the connection with this answer to the request that is being read."""
        raise NotImplementedError

    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.keep_alive:
            # RFC 9112, 9.6. The parser reads on where the server decided to close.
            raise Refused(0, "The connection ends with the request before.")
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.length = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == len(_LENGTH) and name.lower() == _LENGTH:
            self.length = value  # once at the most: the parser refuses a second one
        else:
            super().on_header(name, value)

    def check_framing(self) -> bool:
        """Check what says where the request ends, when its head is there.

        Returns:
            False for a head that offers another protocol: it comes again without that.

        Raises:
            Refused: when it is in doubt where the request ends.
        """
        if self.parser.should_upgrade() and not self.may_switch_protocols():
            if self.parser.get_method() == b"CONNECT":
                raise Refused(501, "Synapse is no proxy: it opens no tunnel with CONNECT.")
            self._offers_upgrade = True
            return False
        self.version = self.parser.get_http_version()
        # The parser refuses a length together with a coding.
        if not self.length or self.version != "1.1":
            self._check_coding()
        return True

    def is_offer(self) -> bool:
        """Say whether the head that came last is one that comes again."""
        return self._offers_upgrade

    def _check_coding(self) -> None:
        if self.version not in ("1.0", "1.1"):
            raise Refused(505, f"Synapse speaks HTTP/1.1 and HTTP/1.0, not HTTP/{self.version}.")
        codings = [value for name, value in self.headers if name == _CODING]
        if self.version == "1.0":
            self.expect_100_continue = False  # RFC 9110, 10.1.1
            if codings:  # RFC 9112, 6.1
                raise Refused(400, "HTTP/1.0 has no Transfer-Encoding. Send HTTP/1.1, or a Content-Length.")
        # Names of codings have no case (RFC 9112, 7), but clients write this one as the RFC does, and a proxy that
        # compares letters would see another end.
        elif codings and [coding.strip(b" \t") for coding in codings] != [b"chunked"]:  # RFC 9112, 6.1
            named = b", ".join(codings).decode("latin-1")
            raise Refused(501, f"Transfer-Encoding can only be “chunked”, not “{named}”.")


def _reason(error: httptools.HttpParserError) -> tuple[int, str]:
    raised = error.__context__  # by a callback
    if isinstance(raised, Refused):
        return raised.status, raised.text
    if raised is None or isinstance(raised, httptools.HttpParserError):
        return 400, f"This is not HTTP: {error}."
    logger.error("reading a request failed", exc_info=raised)
    return 500, "Something went wrong inside Synapse; its log says more."


TRAILERS: Any = _Trailers()
