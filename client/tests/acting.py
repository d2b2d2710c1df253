"""Actions of a client that several tests share. Every test calls `asyncio.run` once."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest
from tests.valkey import PASSWORD, Valkey

from deepiri_modelkit.streaming import ReceivedEvent, StreamingClient
from deepiri_modelkit.streaming.subscription import group

# redis-py's types cover all modes of its client. A test knows which mode it uses.
Redis: TypeAlias = Any

STREAM, GROUP = "inference-events", "analytics-service"


def client_of(server: Valkey, **options: Any) -> StreamingClient:
    where = {"redis_host": "127.0.0.1", "redis_port": server.port, "redis_password": PASSWORD, "timeout": 60.0}
    return StreamingClient(source="cyrex", **(where | options))


def numbered(n: int) -> dict[str, Any]:
    return {"event_type": "counted", "n": n}


async def take(events: AsyncGenerator[ReceivedEvent, None], count: int, *, within: float = 60) -> list[ReceivedEvent]:
    """Return the next events. All but the last are acknowledged; the last is in flight."""
    async with asyncio.timeout(within):
        return [await anext(events) for _ in range(count)]


async def numbers(events: AsyncGenerator[ReceivedEvent, None], count: int) -> list[int]:
    return [event["n"] for event in await take(events, count)]


async def until_blocked(redis: Redis) -> None:
    """Wait until a client is blocked in Redis, usually a reader that has found nothing."""
    await until(lambda: redis.info("clients")["blocked_clients"])


async def until_lost(client: StreamingClient, caplog: pytest.LogCaptureFixture) -> None:
    """Wait until a client and its only subscription have noticed that the server closed their connections."""
    await until(lambda: any("the connection to Redis is lost" in message for message in caplog.messages))
    await until_closed(client)


async def until_closed(client: StreamingClient) -> None:
    """Wait until a client has noticed that the server closed its connection for publishing."""
    assert client._publisher is not None
    (connection,) = client._publisher._pool._available_connections
    await until(connection._reader.at_eof)


async def until(condition: Callable[[], Any], *, within: float = 60) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def pending(redis: Redis, group: str = GROUP) -> dict[str, int]:
    """Return the number of pending entries of each consumer of the group."""
    summary = redis.xpending(STREAM, group)
    return {row["name"].decode(): row["pending"] for row in summary["consumers"]}


class Clock:
    """A clock that the test controls, for group consumers and for the idle times of their entries in Redis."""

    def __init__(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        self._redis = redis
        self._ahead = 0.0
        monkeypatch.setattr(group, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + self._ahead))

    def go_on(self, seconds: int) -> None:
        self._ahead += seconds
        for row in self._redis.xpending_range(STREAM, GROUP, "-", "+", 1000):
            idle = row["time_since_delivered"] + seconds * 1000
            self._redis.xclaim(STREAM, GROUP, row["consumer"], 0, [row["message_id"]], idle=idle, justid=True)
