"""What several tests do with a client. Every test is one `asyncio.run`."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias

from tests.valkey import PASSWORD, Valkey

from deepiri_modelkit.streaming import ReceivedEvent, StreamingClient

# redis-py types an answer for every mode of its client at once; a test knows which one it asked for.
Redis: TypeAlias = Any

STREAM, GROUP = "inference-events", "analytics-service"


def client_of(server: Valkey, **options: Any) -> StreamingClient:
    return StreamingClient(
        redis_host="127.0.0.1", redis_port=server.port, redis_password=PASSWORD, source="cyrex", **options
    )


def numbered(n: int) -> dict[str, Any]:
    return {"event_type": "counted", "n": n}


async def take(events: AsyncGenerator[ReceivedEvent, None], count: int, *, within: float = 8) -> list[ReceivedEvent]:
    """Return the next events, each handled (so settled) but the last, which is in hand when this returns."""
    async with asyncio.timeout(within):
        return [await anext(events) for _ in range(count)]


async def numbers(events: AsyncGenerator[ReceivedEvent, None], count: int) -> list[int]:
    return [event["n"] for event in await take(events, count)]


async def until(condition: Callable[[], Any], *, within: float = 8) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def pending(redis: Redis, group: str = GROUP) -> dict[str, int]:
    """Return how many entries each consumer of the group has pending."""
    summary = redis.xpending(STREAM, group)
    return {row["name"].decode(): row["pending"] for row in summary["consumers"]}
