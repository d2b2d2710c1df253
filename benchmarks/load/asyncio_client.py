"""A small load generator: keeps a number of connections busy with one request, and counts the answers.

Run by `own.py` as `python -m benchmarks.load.asyncio_client`: the order comes as JSON on the standard input, the
result goes as JSON to the standard output. Every answer must have a Content-Length.
"""

import asyncio
import itertools
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.load.values import NUMBER

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
# The seconds that answers may take after the end of the run.
_PATIENCE = 10


@dataclass(slots=True)
class Count:
    """The results of all connections so far; times in seconds."""

    until: float
    times: list[float] = field(default_factory=list)
    errors: int = 0


class Caller(asyncio.Protocol):
    """One connection, which repeats the request as soon as it is answered, until the time is over."""

    def __init__(self, requests: Iterator[bytes], count: Count) -> None:
        self.finished = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._count = count
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self._count.errors += 1
            self.finished.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or len(self._received) < head + 4 + self._length(head):
            return
        self._count.times.append(perf_counter() - self._sent)
        # The status is the second word: HTTP/1.1 201 Created.
        self._count.errors += self._received[9:10] >= b"4"
        self._received.clear()
        if perf_counter() < self._count.until:
            self._send()
        else:
            self.finished.set_result(None)
            self._transport.close()

    def _length(self, head: int) -> int:
        found = _LENGTH.search(self._received, 0, head + 2)
        return int(found[1]) if found else 0

    def _send(self) -> None:
        self._sent = perf_counter()
        self._transport.write(next(self._requests))


def request_bytes(order: dict[str, Any]) -> bytes:
    """Return the request as it goes over the wire."""
    parts = urlsplit(order["url"])
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"{order['method']} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    body = str(order["body"]).encode()
    if order.get("key"):
        head += f"Authorization: Bearer {order['key']}\r\n"
    if order.get("idempotency_key"):
        head += f"Idempotency-Key: {order['idempotency_key']}\r\n"
    if order["method"] != "GET":
        head += f"Content-Type: {order['kind']}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def numbered(request: bytes) -> Iterator[bytes]:
    """Yield a request endlessly, each time with another number at the placeholder."""
    before, mark, after = request.partition(NUMBER.encode())
    begun = int(time())
    for count in itertools.count(1):
        yield before + b"%010d%08d" % (begun, count) + after if mark else request


async def measure(order: dict[str, Any]) -> dict[str, float]:
    """Run the order and return the counts."""
    parts = urlsplit(order["url"])
    loop = asyncio.get_running_loop()
    requests = numbered(request_bytes(order))
    begun = perf_counter()
    count = Count(until=begun + order["seconds"])
    callers: list[Caller] = []
    for _ in range(order["connections"]):
        _, caller = await loop.create_connection(lambda: Caller(requests, count), parts.hostname, parts.port)
        callers.append(caller)
    async with asyncio.timeout(order["seconds"] + _PATIENCE):
        await asyncio.gather(*(caller.finished for caller in callers))
    times = sorted(count.times) or [0.0]
    return {
        "requests": len(count.times),
        "seconds": perf_counter() - begun,
        "errors": count.errors,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    json.dump(uvloop.run(measure(json.load(sys.stdin))), sys.stdout)
