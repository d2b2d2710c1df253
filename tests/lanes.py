"""Asking the same question of both lanes: the front door's event loop, and Django alone."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
from django.test import Client

from bridges.snapshot import holder as bridges
from streams import connections
from streams.snapshot import holder
from synapse_project.front_door import FrontDoor
from synapse_project.lanes import ROUTES


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class ExpressLane:
    """Asks the front door, as the web server does."""

    name = "express lane"

    def __init__(self) -> None:
        self._door = FrontDoor(ROUTES)
        self._runner = asyncio.Runner()

    def __call__(
        self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        _load()
        sent = {"host": "localhost", "content-type": "application/json", **(headers or {})}
        return self._runner.run(self.ask(method, path, _bytes(body), sent))

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Ask on a running loop: for several questions at once."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), text.encode("latin-1")) for name, text in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8002),
            "scheme": "http",
        }
        sent: list[dict[str, Any]] = []

        parts = [body]

        async def receive() -> dict[str, Any]:
            if not parts:
                # The client stays, and sends nothing more.
                await asyncio.Event().wait()
            return {"type": "http.request", "body": parts.pop(), "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(dict(message))

        await self._door(scope, receive, send)
        pairs = {name.decode(): text.decode("latin-1") for name, text in sent[0]["headers"]}
        return Answer(sent[0]["status"], pairs, b"".join(message.get("body", b"") for message in sent[1:]))

    def run(self, coroutine: Any) -> Any:
        """Run something on the lane's own loop."""
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
        return Answer(response.status_code, pairs, response.content)

    def close(self) -> None:
        pass


def _load() -> None:
    """Load the catalog here: on the event loop nobody asks the database, and its threads do not see the test's rows."""
    holder.refresh()
    bridges.current()


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


LANES = (ExpressLane, DjangoAlone)
