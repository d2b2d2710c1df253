"""Many watchers of a stream and its publisher in one process, so that one clock measures how long an event took.

Run by the live row as `python -m benchmarks.load.live_client`: the order comes as JSON on the standard input, the
result goes as JSON to the standard output.
"""

import asyncio
import json
import re
import sys
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.events import EVENT, compact

_NUMBER = re.compile(rb'"event":\{"event_type":"inference-complete","request_id":"req_(\d+)"')
# Latencies are counted in slots: their number per second, and the longest latency in seconds.
_FINENESS, _LONGEST = 10_000, 60
# The seconds that the last events may take after the end of the run.
_PATIENCE = 10


class Times:
    """Latencies of events, counted by tenths of a millisecond, because a long run has millions of them."""

    def __init__(self) -> None:
        self.count = 0
        self._slots = [0] * (_LONGEST * _FINENESS)

    def add(self, seconds: float) -> None:
        self.count += 1
        self._slots[min(int(seconds * _FINENESS), len(self._slots) - 1)] += 1

    def part(self, share: float) -> float:
        """Return the latency in milliseconds that this share of the events did not exceed; 0 without events."""
        wanted = share * self.count
        counted = 0
        for slot, number in enumerate(self._slots):
            counted += number
            if number and counted >= wanted:
                return (slot + 1) * 1000 / _FINENESS
        return 0.0


@dataclass(slots=True)
class Count:
    """The time at which each event was sent, or was due, in seconds, and the events that the watchers received."""

    sent: list[float] = field(default_factory=list)
    times: Times = field(default_factory=Times)
    out_of_order: int = 0


class Watcher(asyncio.Protocol):
    """One connection that watches."""

    def __init__(self, request: bytes, count: Count) -> None:
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._count = count
        self._rest = b""
        self._next = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.began.done():
            self.began.set_exception(ConnectionError("the connection was closed at once"))

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if not self.began.done() and b"\nid: " in self._rest + data:
            self.began.set_result(None)
        whole, _, self._rest = (self._rest + data).rpartition(b"\n\n")
        for text in _NUMBER.findall(whole):
            number = int(text)
            self._count.times.add(now - self._count.sent[number])
            self._count.out_of_order += number != self._next
            self._next = number + 1

    def close(self) -> None:
        self._transport.close()


async def publish(order: dict[str, Any], count: Count) -> None:
    """Publish one event after the other, at the rate, or as fast as possible when behind it, until the time is over."""
    parts = urlsplit(order["url"])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    began = perf_counter()
    for number in range(order["rate"] * order["seconds"]):
        if perf_counter() > began + order["seconds"]:
            break
        due = began + number / order["rate"]
        await asyncio.sleep(max(0, due - perf_counter()))
        body = compact({**EVENT, "request_id": f"req_{number}"})
        head = f"POST /events/{order['stream']} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        # Latency counts from when the event was due, so waiting for a late answer to the previous one counts, too.
        # Timers may be early.
        count.sent.append(min(due, perf_counter()))
        writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 201"):
            raise ConnectionError(answer.decode(errors="replace"))
        found = re.search(rb"content-length: *(\d+)", answer, re.IGNORECASE)
        await reader.readexactly(int(found[1]) if found else 0)
    writer.close()


async def measure(order: dict[str, Any]) -> dict[str, float]:
    """Run the order and return the counts."""
    parts = urlsplit(order["url"])
    loop = asyncio.get_running_loop()
    request = f"GET /streams/{order['stream']}/live HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    count = Count()
    watchers: list[Watcher] = []
    for _ in range(order["watchers"]):
        _, watcher = await loop.create_connection(lambda: Watcher(request, count), parts.hostname, parts.port)
        watchers.append(watcher)
    await asyncio.gather(*(watcher.began for watcher in watchers))
    await publish(order, count)
    expected = len(count.sent) * len(watchers)
    end = perf_counter() + _PATIENCE
    while count.times.count < expected and perf_counter() < end:
        await asyncio.sleep(0.05)
    for watcher in watchers:
        watcher.close()
    return {
        "published": len(count.sent),
        "received": count.times.count,
        "out_of_order": count.out_of_order,
        "p50_ms": count.times.part(0.5),
        "p99_ms": count.times.part(0.99),
        "most_ms": count.times.part(1),
    }


if __name__ == "__main__":
    json.dump(uvloop.run(measure(json.load(sys.stdin))), sys.stdout)
