"""Subscriptions end by leaving the loop, closing the client, or cancelling the task."""

import asyncio

import pytest
from acting import (
    GROUP,
    STREAM,
    Redis,
    client_of,
    numbered,
    numbers,
    pending,
    until,
    until_blocked,
    until_lost,
)
from tests.valkey import Valkey


def connections(redis: Redis) -> set[str]:
    """Return the ids of the connected clients."""
    return {client["id"] for client in redis.client_list()}


def all_are_closed(redis: Redis, before: set[str]) -> bool:
    """Say whether all clients but those connected before are gone, waiting for the server to notice."""
    asyncio.run(until(lambda: connections(redis) <= before))
    return True


def test_closing_the_client_ends_a_loop_that_waits_for_events(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        client = client_of(valkey)
        await client.connect()

        async def consume() -> str:
            async for _ in client.subscribe(STREAM, consumer_group=GROUP, block_ms=60_000):
                pass
            return "ended"

        task = asyncio.create_task(consume())
        await until_blocked(redis)
        await client.close()
        assert await asyncio.wait_for(task, 60) == "ended"

    asyncio.run(scene())


def test_an_event_in_flight_is_still_acknowledged_after_the_client_was_closed(valkey: Valkey, redis: Redis) -> None:
    before = connections(redis)

    async def scene() -> None:
        client = client_of(valkey)
        await client.connect()
        await client.publish_many(STREAM, [numbered(n) for n in range(3)])
        seen = []
        async for event in client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a"):
            seen.append(event["n"])
            if event["n"] == 1:
                await client.close()
        assert seen == [0, 1]

    asyncio.run(scene())

    assert pending(redis) == {"a": 1}
    assert all_are_closed(redis, before)


def test_leaving_the_loop_closes_its_connection(valkey: Valkey, redis: Redis) -> None:
    before = connections(redis)

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish(STREAM, numbered(1))
            for _ in range(3):
                async for _event in client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a"):
                    break
            await until(lambda: len(connections(redis) - before) == 1)
            assert not client._links

    asyncio.run(scene())

    assert all_are_closed(redis, before)


def test_a_cancelled_task_leaves_its_event_pending_and_no_connection(valkey: Valkey, redis: Redis) -> None:
    before = connections(redis)

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish(STREAM, numbered(1))

            async def consume() -> None:
                async for _ in client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a"):
                    await asyncio.Event().wait()

            task = asyncio.create_task(consume())
            await until(lambda: redis.exists(STREAM) and redis.xinfo_groups(STREAM) and pending(redis))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())

    assert pending(redis) == {"a": 1}
    assert all_are_closed(redis, before)


def test_closing_ends_a_subscription_whose_server_is_gone(own_valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        client = client_of(own_valkey)
        await client.connect()
        await client.publish_many(STREAM, [numbered(n) for n in range(3)])
        events = client.subscribe(STREAM, consumer_group=GROUP)
        assert await numbers(events, 1) == [0]
        own_valkey.kill()
        rest = asyncio.create_task(anext(events, None))
        await until_lost(client, caplog)
        await client.close()
        async with asyncio.timeout(60):
            assert await rest is None

    asyncio.run(scene())
