"""One request sent in two ways: to the front door's event loop, and to Django alone."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httptools
import orjson
from django.test import Client
from uvicorn.server import ServerState

from bridges.snapshot import holder as bridges
from streams import connections
from streams.snapshot import holder
from synapse.server.http_protocol import HttpProtocol
from synapse_project.endpoints import ROUTES
from tests.documented import hold_to_model
from tests.door import ChangingFrontDoor


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


# Headers in which the ways in may differ: the web server's own, of which Django alone sends none.
OF_THE_WEB_SERVER = frozenset(("date", "content-length", "connection"))


def headers_of(answer: Answer) -> dict[str, str]:
    """Return the headers that both ways in have to send alike."""
    return {name: text for name, text in answer.headers.items() if name not in OF_THE_WEB_SERVER}


class EventLoopClient:
    """Asks the front door over the web server's own HTTP protocol, each question on a connection of its own."""

    name = "event loop"

    def __init__(self) -> None:
        self.door = ChangingFrontDoor(ROUTES)
        self._runner = asyncio.Runner()

    def __call__(
        self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        _load()
        sent = {"host": "localhost", "content-type": "application/json", **(headers or {})}
        answer = self._runner.run(self.ask(method, path, _bytes(body), sent))
        hold_to_model(method, path, answer.status, answer.headers.get("content-type", ""), answer.body)
        return answer

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Ask on a running loop: for several questions at once."""
        wire, protocol = self.begin(method, path, body, headers)
        try:
            return await wire.answer
        finally:
            protocol.connection_lost(None)

    def begin(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, address: str = "127.0.0.1"
    ) -> tuple["Wire", Any]:
        """Open a connection from an address on a running loop, and send a head and the beginning of a body; return
        what reads the answer, and what takes the rest."""
        wire, protocol = self.connect(method, address)
        head = [f"{method} {quote(path, safe=_SAFE)} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
        if {"content-length", "transfer-encoding"}.isdisjoint(map(str.lower, headers)):
            head.append(f"content-length: {len(body)}")
        protocol.data_received("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return wire, protocol

    def connect(self, method: str, address: str) -> tuple["Wire", Any]:
        """Open a connection from an address on a running loop, on which an answer to this method is read."""
        wire = Wire(method, address)
        protocol = HttpProtocol(self.door, self.door.config, server_state=ServerState())
        protocol.connection_made(wire)
        return wire, protocol

    def run(self, coroutine: Any) -> Any:
        """Run something on the way's own loop."""
        _load()
        return self._runner.run(coroutine)

    def close(self) -> None:
        async def close_connection() -> None:
            connections.close_async_executors()

        self._runner.run(close_connection())
        self._runner.close()


class DjangoAlone:
    """Asks Django through its test client, as a WSGI server would."""

    name = "django"

    def __init__(self) -> None:
        self._client = Client(headers={"host": "localhost"})

    def __call__(
        self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = dict(headers or {})
        kind = sent.pop("content-type", "application/json")
        # The test client names no content type when there is no body; callers over a wire do.
        response = self._client.generic(method, path, _bytes(body), headers=sent, CONTENT_TYPE=kind)
        pairs = {name.lower(): text for name, text in response.headers.items()}
        hold_to_model(method, path, response.status_code, pairs.get("content-type", ""), response.content)
        return Answer(response.status_code, pairs, response.content)

    def close(self) -> None:
        pass


def _load() -> None:
    """Load the catalog here: on the event loop nobody asks the database, and its threads do not see the test's rows."""
    holder.refresh()
    bridges.current()


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


# What a target may hold as it is: the tests write it as a client sends it, but for letters that no client would.
_SAFE = "".join(map(chr, range(0x21, 0x7F)))


class Wire(asyncio.Transport):
    """A connection without a network: reads the answer that the server writes to it."""

    def __init__(self, method: str, address: str = "127.0.0.1") -> None:
        super().__init__({"peername": (address, 1), "sockname": ("127.0.0.1", 8002)})
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = httptools.HttpResponseParser(self)
        self._method = method
        self._headers: dict[str, str] = {}
        self._body = b""
        self._closing = False
        # Whether the server takes what the client sends.
        self.is_read = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self._answer.feed_data(data)

    def on_header(self, name: bytes, text: bytes) -> None:
        self._headers[name.decode()] = text.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._method == "HEAD":
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self.answer.done():
            self.answer.set_result(Answer(self._answer.get_status_code(), self._headers, self._body))

    def close(self) -> None:
        self._closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


WAYS = (EventLoopClient, DjangoAlone)
