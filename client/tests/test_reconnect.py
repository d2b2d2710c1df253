"""A subscription survives the loss of its connection, server, stream and group."""

import asyncio
import logging

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
    until_blocked,
    until_lost,
)
from tests.valkey import Valkey

from deepiri_modelkit.streaming.subscription.link import seconds_before_try


@pytest.mark.parametrize("group", [GROUP, None])
def test_reading_goes_on_after_the_server_was_killed_and_started_again(
    own_valkey: Valkey, group: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with client_of(own_valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(3)])
            events = client.subscribe(STREAM, consumer_group=group, consumer_name=group and "a", count=2)
            assert await numbers(events, 1) == [0]
            # In flight when the server dies. Its acknowledgement waits until the server is back.
            own_valkey.kill()
            rest = asyncio.create_task(numbers(events, 4))
            await until_lost(client, caplog)
            own_valkey.start()
            await client.publish_many(STREAM, [numbered(n) for n in (3, 4)])
            assert await rest == [1, 2, 3, 4]
            await events.aclose()

    asyncio.run(scene())

    if group:
        with own_valkey.client() as redis:
            assert pending(redis) == {"a": 1}


def test_a_blocked_reader_notices_that_the_server_was_killed(
    own_valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with client_of(own_valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP)
            first = asyncio.create_task(numbers(events, 1))
            with own_valkey.client() as redis:
                await until_blocked(redis)
            own_valkey.kill()
            await until_lost(client, caplog)
            own_valkey.start()
            await client.publish(STREAM, numbered(1))
            assert await first == [1]
            await events.aclose()

    with caplog.at_level(logging.INFO):
        asyncio.run(scene())

    messages = [message for message in caplog.messages if "Redis" in message]
    assert "the connection to Redis is lost" in messages[0]
    assert "Redis answers again" in messages[-1]
    assert len(messages) == 2


def test_events_of_a_lost_reply_are_read_again_as_a_second_attempt(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a")
            await client.publish(STREAM, numbered(0))
            assert await numbers(events, 1) == [0]
            rest = asyncio.create_task(take(events, 2))
            await until_blocked(redis)
            redis.client_kill_filter(_type="normal", skipme=True)
            # As if Redis had delivered it and died before the reply arrived.
            redis.xadd(STREAM, numbered(1))
            redis.xreadgroup(GROUP, "a", {STREAM: ">"})
            redis.xadd(STREAM, numbered(2))
            assert [(event["n"], event.attempts) for event in await rest] == [(1, 2), (2, 1)]
            await events.aclose()

    asyncio.run(scene())


@pytest.mark.parametrize("how", ["flushall", "del", "destroy"])
def test_a_lost_group_is_made_again_at_the_beginning(
    valkey: Valkey, redis: Redis, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            events = client.subscribe(STREAM, consumer_group=GROUP, start="$", block_ms=200)
            first = asyncio.create_task(numbers(events, 2))
            await until_blocked(redis)
            {"flushall": redis.flushall, "del": lambda: redis.delete(STREAM)}.get(
                how, lambda: redis.xgroup_destroy(STREAM, GROUP)
            )()
            await client.publish_many(STREAM, [numbered(1), numbered(2)])
            assert await first == [1, 2]
            await events.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())

    assert [message for message in caplog.messages if "made again from the beginning" in message]
    assert redis.xinfo_groups(STREAM)[0]["pending"] == 1


def test_events_in_flight_survive_a_flush(valkey: Valkey, redis: Redis, clock: Clock) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(3)])
            events = client.subscribe(STREAM, None, GROUP, "a")
            assert await numbers(events, 1) == [0]
            # Long enough for the client to renew its entries, which Redis no longer has.
            clock.go_on(40)
            redis.flushall()
            assert await numbers(events, 2) == [1, 2]
            await client.publish(STREAM, numbered(3))
            assert await numbers(events, 1) == [3]
            await events.aclose()

    asyncio.run(scene())


def test_a_plain_reader_survives_a_flush(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish(STREAM, numbered(0))
            events = client.subscribe(STREAM)
            assert await numbers(events, 1) == [0]
            redis.flushall()
            rest = asyncio.create_task(numbers(events, 1))
            await until_blocked(redis)
            await client.publish(STREAM, numbered(1))
            assert await rest == [1]
            await events.aclose()

    asyncio.run(scene())


@pytest.mark.parametrize(("failures", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5), (1000, 5)])
def test_the_pause_doubles_up_to_five_seconds_and_is_never_in_step(failures: int, longest: float) -> None:
    pauses = {seconds_before_try(failures) for _ in range(50)}

    assert all(longest / 2 <= pause <= longest for pause in pauses)
    assert len(pauses) > 10
