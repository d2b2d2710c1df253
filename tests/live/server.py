"""The web server in a thread, on a real socket, and a client that watches a stream over it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import uvicorn

from streams import connections
from streams.connections import tails
from synapse_project import web_server
from synapse_project.endpoints import ROUTES
from tests.door import ChangingFrontDoor
from tests.patience import eventually


@dataclass
class RunningServer:
    """A server that a test may stop."""

    port: int
    server: Any
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def live(self, stream: str = "orders") -> str:
        return f"{self.url}/streams/{stream}/live"

    def publish(self, *numbers: int, stream: str = "orders", event_type: str = "order-placed") -> list[str]:
        """Publish events with these numbers, and return their ids."""
        bodies = [{"event_type": event_type, "n": number} for number in numbers]
        answer = httpx.post(f"{self.url}/events/{stream}", json=bodies)
        assert answer.status_code == 200, answer.text
        return [result["id"] for result in answer.json()["results"]]

    def watching(self) -> int:
        """How many watch."""
        return sum(tails().watching().values())

    def stop(self) -> None:
        """Stop it as SIGTERM does."""
        self.server.should_exit = True
        self.thread.join(timeout=25)
        assert not self.thread.is_alive()


@contextmanager
def running_server() -> Iterator[RunningServer]:
    """Run a server for as long as the block lasts."""
    door = ChangingFrontDoor(ROUTES)
    config = uvicorn.Config(door, **door.options(lifespan="off", loop="asyncio"))
    server = web_server.Server(config, door.connections, say=lambda _: None, address="")
    listener = socket.create_server(("127.0.0.1", 0))
    # Connections have it from here. asyncio, unlike uvloop, sets it on none that was accepted.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def serve() -> None:
        await server.serve([listener])
        connections.close_async_executors()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    port = listener.getsockname()[1]
    thread.start()
    running = RunningServer(port, server, thread)
    try:
        eventually(lambda: server.started)
        yield running
    finally:
        running.stop()


@dataclass
class Received:
    """One frame: its fields as text, comments left out."""

    fields: dict[str, str] = field(default_factory=dict)
    comment: str = ""

    @property
    def id(self) -> str | None:
        return self.fields.get("id")

    @property
    def name(self) -> str:
        """The event's name; "" for a frame that browsers hand to nobody."""
        return self.fields.get("event", "message") if "data" in self.fields else ""

    @property
    def data(self) -> Any:
        return orjson.loads(self.fields["data"])


class Watch:
    """A watcher over HTTP. `last_id` is kept as a browser keeps it."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id = ""
        self.opening = Received()
        self._frames = self._read()

    def frame(self) -> Received:
        """Wait for the next frame of any kind."""
        return next(self._frames)

    def next(self) -> Received:
        """Wait for the next frame that has data."""
        while not (found := self.frame()).name:
            pass
        return found

    def numbers(self, count: int) -> list[int]:
        """Wait for so many messages and return their numbers."""
        found = [self.next() for _ in range(count)]
        assert [frame.name for frame in found] == ["message"] * count, found
        return [frame.data["event"]["n"] for frame in found]

    def rest(self) -> list[Received]:
        """Wait for the end and return what came until then."""
        return [frame for frame in self._frames if frame.name]

    def _read(self) -> Iterator[Received]:
        frame = Received()
        for line in self.answer.iter_lines():
            if not line:
                self.last_id = frame.id or self.last_id
                yield frame
                frame = Received()
            elif line.startswith(":"):
                frame.comment = line[1:].strip()
            else:
                name, _, text = line.partition(": ")
                frame.fields[name] = text


@contextmanager
def watching(
    url: str, *, last_id: str = "", timeout: float = 60, headers: dict[str, str] | None = None, **query: Any
) -> Iterator[Watch]:
    """Watch for as long as the block lasts; the first frame, which says where it begins, is read already."""
    headers = {**(headers or {}), **({"Last-Event-ID": last_id} if last_id else {})}
    with httpx.stream("GET", url, headers=headers, params=query, timeout=timeout) as answer:
        assert answer.status_code == 200, answer.read()
        watch = Watch(answer)
        watch.opening = watch.frame()
        yield watch
