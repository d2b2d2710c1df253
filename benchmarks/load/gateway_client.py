"""Many connections that watch several streams each, and one publisher, in one process, so that one clock measures
latencies. A broken connection resumes with the id of its last frame.

Run by `benchmarks.gateway` as `python -m benchmarks.load.gateway_client`: the order is the first line of the standard
input, a second line ends the run, and the result goes as JSON to the standard output.
"""

import asyncio
import itertools
import json
import random
import re
import sys
import threading
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
import uvloop

from benchmarks.events import entry_fields
from benchmarks.load.live_client import Times

_FRAME = re.compile(
    rb'id: (\S+)\ndata: \{"stream":"([^"]+)","id":"[^"]+","data":\{"event_type":"[^"]+","request_id":"req_(\d+)"'
)
_ID = re.compile(rb"id: (\S+)\n")
# The seconds of silence after the end of the run after which missing events count as lost.
_PATIENCE = 15
# The seconds after which a connection reconnects, in the range of the server's `retry`.
_RETRY = (1.0, 3.0)


@dataclass(slots=True)
class Count:
    """When each event was stored, by stream, in seconds, and the events that all connections got.

    Attributes:
        steady: events that were stored before the first connection broke.
        standing: events that were stored later, while their connection stood.
        resumed: events that were stored while their connection was broken.
        received: frames of events, on all connections.
        out_of_order: frames that were not of their stream's next event.
        breaks: how often a connection broke.
    """

    sent: dict[str, list[float]] = field(default_factory=dict)
    steady: Times = field(default_factory=Times)
    standing: Times = field(default_factory=Times)
    resumed: Times = field(default_factory=Times)
    received: int = 0
    out_of_order: int = 0
    breaks: int = 0
    is_over: bool = False


class EventSource(asyncio.Protocol):
    """One connection that watches with server-sent events, as a browser does."""

    def __init__(self, url: str, streams: list[str], count: Count) -> None:
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parts = urlsplit(url)
        self._query = "&".join(f"stream={stream}" for stream in streams)
        self._count = count
        self._next = dict.fromkeys([stream.encode() for stream in streams], 0)
        self._last_id = b""
        self._rest = b""
        self._since = float("inf")
        self._transport: Any = None

    async def open(self) -> None:
        """Connect, and try again until it succeeds."""
        while not self._count.is_over:
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, self._parts.hostname, self._parts.port)
                return
            except OSError:
                await asyncio.sleep(random.uniform(*_RETRY))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest, self._since = transport, b"", float("inf")
        last_id = b"Last-Event-ID: %s\r\n" % self._last_id if self._last_id else b""
        head = f"GET /live?{self._query} HTTP/1.1\r\nHost: {self._parts.netloc}\r\n".encode()
        self._transport.write(head + last_id + b"\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._count.is_over:
            self._count.breaks += 1
            asyncio.get_running_loop().call_later(random.uniform(*_RETRY), self._again)

    def _again(self) -> None:
        self._task = asyncio.ensure_future(self.open())

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        whole, _, self._rest = (self._rest + data).rpartition(b"\n\n")
        if self._since == float("inf") and (opening := _ID.search(whole + b"\n")):
            self._since = now
            self._last_id = opening[1]
            if not self.began.done():
                self.began.set_result(None)
        for last_id, stream, text in _FRAME.findall(whole):
            self._last_id = last_id
            self._take(stream, int(text), now)

    def _take(self, stream: bytes, number: int, now: float) -> None:
        count = self._count
        sent = count.sent[stream.decode()][number]
        times = count.resumed if sent < self._since else count.standing if count.breaks else count.steady
        times.add(now - sent)
        count.received += 1
        count.out_of_order += number != self._next[stream]
        self._next[stream] = number + 1

    def close(self) -> None:
        self._transport.close()


class WebSocketClient(EventSource):
    """One connection that watches over a WebSocket: it resumes with the position of its last message."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest, self._since = transport, b"", float("inf")
        self._transport.write(_HANDSHAKE % self._parts.netloc.encode())
        commands = [{"op": "resume", "position": self._last_id.decode()}] if self._last_id else []
        commands += [{"op": "subscribe", "stream": stream.decode(), "id": 1} for stream in self._next]
        for command in commands:
            self._transport.write(_frame(_TEXT, json.dumps(command).encode()))
        self._answers = len(self._next)

    def data_received(self, data: bytes) -> None:
        now, data, begin = perf_counter(), self._rest + data, 0
        # Messages are found by their beginnings: parsing the heads of frames would take longer than everything else.
        for found in _MESSAGE.finditer(data):
            begin = found.end()
            if found[3] is not None:
                self._last_id = found[1]
                self._take(found[2], int(found[3]), now)
            else:
                self._take_answer(found[4], now)
        if data.endswith(_PING):
            self._transport.write(_frame(_PONG, b""))
        self._rest = data[begin:][-_LONGEST:]

    def _take_answer(self, position: bytes, now: float) -> None:
        self._answers -= 1
        if not self._answers:
            self._last_id, self._since = position, now
            if not self.began.done():
                self.began.set_result(None)


_HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_TEXT, _PONG = 1, 10
# A ping of the server, which is not sent together with other frames.
_PING = b"\x89\0"
_MESSAGE = re.compile(
    rb'\{"op":"event","position":"(\S+?)","stream":"([^"]+)","id":"[^"]+","data":\{"event_type":"[^"]+",'
    rb'"request_id":"req_(\d+)"|\{"op":"subscribed","stream":"[^"]+","position":"(\S+?)"'
)
# Of a message up to its number.
_LONGEST = 1024


def _frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame of a client, masked with zeros."""
    length = len(payload)
    sized = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2)
    return bytes((0x80 | opcode,)) + sized + bytes(4) + payload


TRANSPORTS = {"sse": EventSource, "websocket": WebSocketClient}


async def publish(order: dict[str, Any], count: Count, ended: asyncio.Event) -> None:
    """Store events in the streams in turn, at the rate, or as fast as possible when behind it, until `end` is set;
    cancelling would leave it unknown whether the last one was stored. Writes to Redis directly, because the web server
    is killed meanwhile.
    """
    client = redis.asyncio.Redis.from_url(order["redis"])
    streams = order["streams"]
    began = perf_counter()
    for number in itertools.count():
        if ended.is_set():
            return
        due = began + number / order["rate"]
        await asyncio.sleep(max(0, due - perf_counter()))
        stream = streams[number % len(streams)]
        sent = count.sent[stream]
        sent.append(min(due, perf_counter()))
        await client.xadd(stream, {**entry_fields(), "request_id": f"req_{len(sent) - 1}"})


async def measure(order: dict[str, Any], ended: asyncio.Event) -> dict[str, float]:
    """Run the order until it is ended, and return the counts."""
    count = Count(sent={stream: [] for stream in order["streams"]})
    sockets = [TRANSPORTS[order["transport"]](order["url"], order["streams"], count) for _ in range(order["sockets"])]
    for socket in sockets:
        await socket.open()
    await asyncio.gather(*(socket.began for socket in sockets))
    print("all watch", flush=True)
    await publish(order, count, ended)
    published = sum(map(len, count.sent.values()))
    received, end = -1, perf_counter() + _PATIENCE
    while count.received < published * len(sockets) and perf_counter() < end:
        if count.received > received:
            received, end = count.received, perf_counter() + _PATIENCE
        await asyncio.sleep(0.05)
    count.is_over = True
    for socket in sockets:
        socket.close()
    found: dict[str, float] = {"published": published, "received": count.received, "breaks": count.breaks}
    found["out_of_order"] = count.out_of_order
    for name in ("steady", "standing", "resumed"):
        times: Times = getattr(count, name)
        found[f"{name}_count"] = times.count
        found |= {f"{name}_{part}_ms": times.part(share) for part, share in (("p50", 0.5), ("p99", 0.99), ("most", 1))}
    return found


async def _main() -> None:
    order = json.loads(sys.stdin.readline())
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    # The second line, or the end of the input.
    threading.Thread(target=lambda: (sys.stdin.readline(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
    print(json.dumps(await measure(order, ended)), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
