"""What a dead consumer left is taken over, and what a slow one holds is not."""

import asyncio
import logging

import pytest
from acting import GROUP, STREAM, Redis, client_of, numbered, numbers, pending, take
from tests.valkey import Valkey


def leave_pending(redis: Redis, count: int, consumer: str = "dead") -> None:
    """Read as a consumer that then dies."""
    redis.xgroup_create(STREAM, GROUP, 0, mkstream=True)
    for n in range(count):
        redis.xadd(STREAM, {"event": "counted", "n": n})
    redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count)


def test_events_that_were_pending_too_long_are_taken_over_oldest_first(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        leave_pending(redis, 25)
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b", claim_idle_ms=200)
            found = await take(events, 25)
            assert [event["n"] for event in found] == list(range(25))
            assert {event.attempts for event in found} == {2}
            await events.aclose()

    asyncio.run(scene())

    assert pending(redis) == {"b": 1}


def test_a_consumer_that_is_asked_not_to_takes_nothing_over(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        leave_pending(redis, 2)
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b", claim_idle_ms=None, block_ms=50)
            with pytest.raises(TimeoutError):
                await take(events, 1, within=0.3)

    asyncio.run(scene())

    assert pending(redis) == {"dead": 2}


def test_an_abandoned_event_that_was_trimmed_is_never_handed_out(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        leave_pending(redis, 4)
        redis.xtrim(STREAM, maxlen=1, approximate=False)
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b", claim_idle_ms=50)
            assert await numbers(events, 1) == [3]
            await events.aclose()

    asyncio.run(scene())

    assert pending(redis) == {"b": 1}


def test_events_that_wait_behind_slow_ones_are_not_taken_over(valkey: Valkey, redis: Redis) -> None:
    handled: list[tuple[str, int]] = []

    async def consume(name: str, seconds: float) -> None:
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, None, GROUP, name, claim_idle_ms=900, block_ms=50)
            async for event in events:
                await asyncio.sleep(seconds)
                handled.append((name, event["n"]))

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(7)])
            slow = asyncio.create_task(consume("slow", 0.2))
            await asyncio.sleep(0.1)
            fast = asyncio.create_task(consume("fast", 0))
            await asyncio.sleep(1.5)
            for task in (slow, fast):
                task.cancel()
            await asyncio.gather(slow, fast, return_exceptions=True)

    asyncio.run(scene())

    assert handled == [("slow", n) for n in range(7)]


def test_events_that_others_took_while_one_was_handled_are_dropped(
    valkey: Valkey, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            ids = await client.publish_many(STREAM, [numbered(n) for n in range(4)])
            events = client.subscribe(STREAM, None, GROUP, "a", claim_idle_ms=200)
            assert await numbers(events, 1) == [0]
            redis.xclaim(STREAM, GROUP, "b", 0, ids[1:3])
            await asyncio.sleep(0.15)
            assert await numbers(events, 1) == [3]
            await events.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())

    assert pending(redis) == {"a": 1, "b": 2}
    assert [message for message in caplog.messages if "2 events waited too long" in message]
