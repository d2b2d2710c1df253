"""Posts one body repeatedly with as little overhead as the HTTP client allows, and a fixed number of requests in
flight.

Run as `python -m benchmarks.peers.bare_poster URL COUNT IN_FLIGHT`, with the body on standard input; prints how many$
were taken and how long it took.
"""

import asyncio
import json
import sys
from time import perf_counter

import uvloop
from aiohttp import ClientSession, TCPConnector
from yarl import URL


async def main() -> None:
    """Post the given number of requests."""
    url, count, in_flight, body = URL(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdin.buffer.read()
    waiting, taken = iter(range(count)), 0
    async with ClientSession(connector=TCPConnector(limit=in_flight)) as session:

        async def work() -> None:
            nonlocal taken
            for _ in waiting:
                async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                    await response.read()
                    taken += response.status == 204

        begun = perf_counter()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        seconds = perf_counter() - begun
    json.dump({"events": taken, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
