"""Publishes at a steady pace, without waiting for answers, and writes into each event when it was due.

Run by the latency rows as `python -m benchmarks.load.steady_client`: the order comes as JSON on the standard input, the
result goes as JSON to the standard output.
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvloop
from aiohttp import ClientSession, TCPConnector
from yarl import URL

from benchmarks.events import EVENT, JSON, compact

# Enough connections to keep the pace while single answers are slow.
_CONNECTIONS = 64
_SECOND = 1_000_000_000


async def publish(order: dict[str, Any]) -> dict[str, float]:
    """Publish at a rate for some seconds; return the number of stored events, and the delay of the last one."""
    url, count = URL(order["url"]), order["rate"] * order["seconds"]
    stored = 0
    async with ClientSession(connector=TCPConnector(limit=_CONNECTIONS)) as session, asyncio.TaskGroup() as group:

        async def send(due: int) -> None:
            nonlocal stored
            # A delay of this program counts as latency, too. Timers may be early.
            body = compact({**EVENT, "correlation_id": str(min(due, time.monotonic_ns()))})
            async with session.post(url, data=body, headers={"Content-Type": JSON}) as answer:
                await answer.read()
                stored += answer.status == 201

        began = time.monotonic_ns()
        for number in range(count):
            due = began + number * _SECOND // order["rate"]
            await asyncio.sleep(max(0, (due - time.monotonic_ns()) / _SECOND))
            group.create_task(send(due))
        late = time.monotonic_ns() - due
    return {"sent": count, "stored": stored, "late_ms": late / 1e6}


if __name__ == "__main__":
    json.dump(uvloop.run(publish(json.load(sys.stdin))), sys.stdout)
