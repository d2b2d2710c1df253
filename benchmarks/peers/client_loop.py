"""Reads a group's events as many services do: ten at a time with redis-py, a call and an XACK for each.

Run as `python -m benchmarks.peers.client_loop SECONDS URL STREAM GROUP`; prints how many there were and how long it
took: SECONDS, or less when nothing is left.
"""

import json
import sys
from time import perf_counter

import uvloop
from redis import asyncio as redis

COUNT = 10


async def handle(fields: dict[str, str]) -> None:
    """Do nothing with an event."""


async def main() -> None:
    """Read the group until the time is over or nothing is left."""
    seconds, (url, stream, group) = float(sys.argv[1]), sys.argv[2:]
    events = 0
    async with redis.from_url(url, decode_responses=True) as client:
        await client.xgroup_create(stream, group, "0")
        begun = perf_counter()
        while perf_counter() - begun < seconds:
            rows = await client.xreadgroup(group, "reader", {stream: ">"}, count=COUNT)
            if not rows:
                break
            for id_, fields in rows[0][1]:
                await handle(fields)
                await client.xack(stream, group, id_)
                events += 1
        took = perf_counter() - begun
    json.dump({"events": events, "seconds": took}, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
