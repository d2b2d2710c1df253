"""A well-behaved caller that requests `/healthz` and publishes at a steady pace, and times each answer.

Run as `python -m benchmarks.attacks.bystander`: the order comes as JSON on the standard input, the values go as JSON
to the standard output.
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvloop
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from benchmarks.events import EVENT, JSON, STREAM, compact

# The seconds between two requests of a kind.
_PACE = 0.02
_PATIENCE = ClientTimeout(total=30)


async def stand_by(order: dict[str, Any]) -> dict[str, Any]:
    """Send requests for `seconds`; return the latencies and failures of each kind of request.

    Latencies are measured from the time at which a request was due, not from when it was sent. Health is requested on a
    new connection each time, as probes do.
    """
    url, headers = order["url"], {"Authorization": f"Bearer {order['key']}", "Content-Type": JSON}
    body = compact(EVENT)
    async with (
        ClientSession(connector=TCPConnector(limit=0, force_close=True), timeout=_PATIENCE) as prober,
        ClientSession(connector=TCPConnector(limit=0), timeout=_PATIENCE) as session,
    ):

        async def check_health() -> int:
            async with prober.get(f"{url}/healthz") as answer:
                await answer.read()
                return answer.status

        async def publish() -> int:
            async with session.post(f"{url}/events/{STREAM}", data=body, headers=headers) as answer:
                await answer.read()
                return answer.status

        health, publishes = await asyncio.gather(
            _repeat(check_health, order["seconds"], 200), _repeat(publish, order["seconds"], 201)
        )
    return {"health": health, "publish": publishes}


async def _repeat(ask: Any, seconds: float, expected: int) -> dict[str, Any]:
    latencies: list[float] = []
    failures: dict[str, int] = {}

    async def once(due: float) -> None:
        try:
            status = await ask()
        except (ClientError, OSError, TimeoutError) as error:
            status = type(error).__name__
        latencies.append((time.monotonic() - due) * 1000)
        if status != expected:
            failures[str(status)] = failures.get(str(status), 0) + 1

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds / _PACE)):
            due = began + number * _PACE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(once(due))
    latencies.sort()
    return {
        "requests": len(latencies),
        "failures": failures,
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[len(latencies) * 99 // 100],
        "max_ms": latencies[-1],
    }


if __name__ == "__main__":
    json.dump(uvloop.run(stand_by(json.load(sys.stdin))), sys.stdout)
