"""Events of a dead consumer are taken over; those of a slow consumer are not."""

import asyncio
import logging
from typing import Any

import pytest
from acting import (
    GROUP,
    STREAM,
    Clock,
    Redis,
    client_of,
    numbered,
    numbers,
    pending,
    take,
    until,
)
from tests.valkey import Valkey

from deepiri_modelkit.streaming import StreamingClient


def leave_pending(redis: Redis, count: int, consumer: str = "dead") -> None:
    """Read as a consumer that then dies, leaving its entries pending."""
    redis.xgroup_create(STREAM, GROUP, 0, mkstream=True)
    for n in range(count):
        redis.xadd(STREAM, {"event": "counted", "n": n})
    redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count)


async def finds_nothing(client: StreamingClient, redis: Redis, **options: Any) -> bool:
    """Say whether a consumer finds nothing to take over, and so waits for new events."""

    def waits() -> bool:
        return bool(redis.info("clients")["blocked_clients"])

    looking = asyncio.create_task(take(client.subscribe(STREAM, None, GROUP, **options), 1))
    await until(lambda: looking.done() or waits())
    nothing = not looking.done()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await until(lambda: not waits())
    return nothing


def test_events_that_were_pending_too_long_are_taken_over_oldest_first(
    valkey: Valkey, redis: Redis, clock: Clock
) -> None:
    async def scene() -> None:
        leave_pending(redis, 25)
        clock.go_on(60)
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b")
            found = await take(events, 25)
            assert [event["n"] for event in found] == list(range(25))
            assert {event.attempts for event in found} == {2}
            await events.aclose()

    asyncio.run(scene())

    assert pending(redis) == {"b": 1}


def test_a_consumer_that_waits_looks_again_for_what_was_left(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        leave_pending(redis, 1)
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b", claim_idle_ms=200)
            assert await numbers(events, 1) == [0]
            await events.aclose()

    asyncio.run(scene())

    assert pending(redis) == {"b": 1}


def test_a_consumer_that_is_asked_not_to_takes_nothing_over(valkey: Valkey, redis: Redis, clock: Clock) -> None:
    async def scene() -> None:
        leave_pending(redis, 2)
        clock.go_on(3600)
        async with client_of(valkey) as client:
            assert await finds_nothing(client, redis, consumer_name="b", claim_idle_ms=None)

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


def test_events_that_wait_behind_slow_ones_are_not_taken_over(valkey: Valkey, redis: Redis, clock: Clock) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(7)])
            slow = client.subscribe(STREAM, None, GROUP, "slow")
            for n in range(7):
                assert await numbers(slow, 1) == [n]
                # Handling two takes longer than `claim_idle_ms`, so another consumer could claim the later ones.
                clock.go_on(40)
                assert await finds_nothing(client, redis, consumer_name="fast")
            await slow.aclose()

    asyncio.run(scene())

    assert pending(redis) == {"slow": 1}


def test_events_that_others_took_while_one_was_handled_are_dropped(
    valkey: Valkey, redis: Redis, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            ids = await client.publish_many(STREAM, [numbered(n) for n in range(4)])
            events = client.subscribe(STREAM, None, GROUP, "a")
            assert await numbers(events, 1) == [0]
            redis.xclaim(STREAM, GROUP, "b", 0, ids[1:3])
            clock.go_on(40)
            assert await numbers(events, 1) == [3]
            await events.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())

    assert pending(redis) == {"a": 1, "b": 2}
    assert [message for message in caplog.messages if "2 events waited too long" in message]
