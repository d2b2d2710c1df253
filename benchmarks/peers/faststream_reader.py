"""Reads a group's events with FastStream: one stream subscriber, whose handler does nothing with them.

Run as `python -m benchmarks.peers.faststream_reader SECONDS URL STREAM GROUP`; prints how many there were and how long
it took: SECONDS, or less when nothing is left. It fetches as many events at once as a bridge does; without a limit,
FastStream reads the whole stream into memory.
"""

import asyncio
import contextlib
import json
import sys
from time import perf_counter
from typing import Any

import uvloop
from faststream.redis import RedisBroker, StreamSub

AT_ONCE = 500


async def main() -> None:
    """Read until the time is over or nothing is left."""
    limit, (url, stream, group) = float(sys.argv[1]), sys.argv[2:]
    broker = RedisBroker(url, logger=None)
    handled, over = 0, asyncio.Event()

    @broker.subscriber(stream=StreamSub(stream, group=group, consumer="reader", max_records=AT_ONCE))
    async def handle(event: dict[str, Any]) -> None:
        nonlocal handled
        handled += 1
        if handled == wanted:
            over.set()

    # A subscriber that creates its group would begin at the end of the stream.
    connection = await broker.connect()
    wanted = await connection.xlen(stream)
    await connection.xgroup_create(stream, group, "0")
    begun = perf_counter()
    await broker.start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), limit)
    events, seconds = handled, perf_counter() - begun
    await broker.stop()
    json.dump({"events": events, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
