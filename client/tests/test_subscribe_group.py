"""Subscribing as a consumer of a group: which consumer gets an event, and when the event counts as handled."""

import asyncio
import logging

import pytest
from acting import GROUP, STREAM, Redis, client_of, numbered, numbers, pending, take, until
from tests.valkey import Valkey

from deepiri_modelkit.errors import Refused
from deepiri_modelkit.streaming import ReceivedEvent, StreamingClient, StreamTopics


def test_an_event_is_acknowledged_when_the_loop_asks_for_the_next(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(1), numbered(2)])
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a")

            assert await numbers(events, 1) == [1]
            assert pending(redis) == {"a": 2}
            assert await numbers(events, 1) == [2]
            assert pending(redis) == {"a": 1}
            await events.aclose()
            assert pending(redis) == {"a": 1}

    asyncio.run(scene())


def test_the_callback_gets_each_event_before_the_loop_does(valkey: Valkey) -> None:
    seen: list[tuple[str, int]] = []

    async def handle(event: dict[str, int]) -> None:
        await asyncio.sleep(0)
        seen.append(("callback", event["n"]))

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(1), numbered(2)])
            async for event in client.subscribe(STREAM, callback=handle, consumer_group=GROUP):
                seen.append(("loop", event["n"]))
                if event["n"] == 2:
                    break

    asyncio.run(scene())

    assert seen == [("callback", 1), ("loop", 1), ("callback", 2), ("loop", 2)]


def test_a_callback_may_be_a_plain_function(valkey: Valkey) -> None:
    seen: list[ReceivedEvent] = []

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish(STREAM, numbered(1))
            async for _ in client.subscribe(STREAM, seen.append):
                break

    asyncio.run(scene())

    assert seen == [{"event_type": "counted", "n": 1}]


@pytest.mark.parametrize("where", ["callback", "loop"])
def test_an_event_whose_handling_failed_comes_back_to_the_same_consumer_first(
    valkey: Valkey, redis: Redis, where: str
) -> None:
    def handle(event: ReceivedEvent) -> None:
        if where == "callback" and event["n"] == 2:
            raise ZeroDivisionError

    async def consume(client: StreamingClient) -> None:
        async for event in client.subscribe(STREAM, handle, GROUP, "a"):
            if where == "loop" and event["n"] == 2:
                raise ZeroDivisionError

    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in (1, 2, 3)])
            with pytest.raises(ZeroDivisionError):
                await consume(client)
            await client.publish(STREAM, numbered(4))

            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a")
            again = await take(events, 3)
            await events.aclose()
            assert [(event["n"], event.attempts) for event in again] == [(2, 2), (3, 2), (4, 1)]

    asyncio.run(scene())

    assert pending(redis) == {"a": 1}


def test_events_that_a_killed_run_left_pending_come_back_oldest_first(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(25)])
            redis.xgroup_create(STREAM, GROUP, 0)
            redis.xreadgroup(GROUP, "a", {STREAM: ">"}, count=23)

            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a")
            found = await take(events, 25)
            await events.aclose()
            assert [event["n"] for event in found] == list(range(25))
            assert {event.attempts for event in found[:23]} == {2}
            assert {event.attempts for event in found[23:]} == {1}

    asyncio.run(scene())


def test_consumers_of_a_group_share_its_events_and_groups_do_not(valkey: Valkey) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(20)])
            ours = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a", count=10)
            theirs = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b", count=10)
            others = client.subscribe(STREAM, consumer_group="notification-service")

            shared = [*await numbers(ours, 10), *await numbers(theirs, 10)]
            assert sorted(shared) == list(range(20))
            assert await numbers(others, 20) == list(range(20))
            for events in (ours, theirs, others):
                await events.aclose()

    asyncio.run(scene())


def test_a_group_is_made_at_the_beginning_of_a_stream_that_need_not_exist(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            events = client.subscribe(StreamTopics.INFERENCE_EVENTS, consumer_group=GROUP)
            first = asyncio.create_task(take(events, 1))
            await until(lambda: redis.exists(STREAM))
            await client.publish(STREAM, numbered(1))
            assert (await first)[0]["n"] == 1
            await events.aclose()

    asyncio.run(scene())

    assert [row["name"] for row in redis.xinfo_groups(STREAM)] == [GROUP.encode()]


def test_a_new_group_may_begin_with_new_events_only(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish(STREAM, numbered(1))
            events = client.subscribe(STREAM, consumer_group=GROUP, start="$")
            first = asyncio.create_task(take(events, 1))
            await until(lambda: redis.xinfo_groups(STREAM))
            await client.publish(STREAM, numbered(2))
            assert (await first)[0]["n"] == 2
            await events.aclose()

    asyncio.run(scene())


def test_an_event_says_where_it_comes_from_without_being_spoiled(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            entry_id = await client.publish(STREAM, numbered(1))
            events = client.subscribe(STREAM, consumer_group=GROUP)
            (event,) = await take(events, 1)
            await events.aclose()

            assert event == {"event_type": "counted", "n": 1}
            assert (event.stream, event.entry_id, event.event_type) == (STREAM, entry_id, "counted")
            assert (event.layout, event.contract_version, event.attempts) == ("flat", None, 1)
            assert event.source == "cyrex"
            assert event.timestamp is not None

    asyncio.run(scene())


def test_an_event_that_was_trimmed_while_pending_is_acknowledged_and_never_yielded(
    valkey: Valkey, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(30)])
            redis.xgroup_create(STREAM, GROUP, 0)
            redis.xreadgroup(GROUP, "a", {STREAM: ">"}, count=25)
            redis.xtrim(STREAM, maxlen=7, approximate=False)

            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a")
            assert await numbers(events, 7) == list(range(23, 30))
            await events.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())

    assert pending(redis) == {"a": 1}
    assert sum("trimmed before they were handled" in message for message in caplog.messages) == 3


def test_a_twin_of_the_same_name_is_pointed_out(valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(1), numbered(2)])
            first = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a", count=1)
            await take(first, 1)
            assert not caplog.messages
            second = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a", count=1)
            await take(second, 1)
            await first.aclose()
            await second.aclose()

    asyncio.run(scene())

    assert [message for message in caplog.messages if "another connection reads under this name" in message]


def test_events_fetched_but_not_yielded_are_released_when_the_subscription_closes(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(5)])
            events = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="a")
            assert await numbers(events, 2) == [0, 1]
            await events.aclose()
            assert pending(redis) == {"a": 4}

            others = client.subscribe(STREAM, consumer_group=GROUP, consumer_name="b")
            # Not 1, because that one was in flight and may still be handled.
            assert await numbers(others, 3) == [2, 3, 4]
            await others.aclose()

    asyncio.run(scene())


def test_redis_refusing_the_reading_ends_the_loop_with_the_reason(valkey: Valkey, redis: Redis) -> None:
    redis.set(STREAM, "not a stream")

    async def scene(group: str | None) -> None:
        async with client_of(valkey) as client:
            await take(client.subscribe(STREAM, consumer_group=group), 1)

    for group in (GROUP, None):
        with pytest.raises(Refused, match="WRONGTYPE"):
            asyncio.run(scene(group))
