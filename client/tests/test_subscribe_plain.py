"""Subscribing without a group: all events, from any position, of any publisher, in every layout."""

import asyncio
import json
from typing import Any

import pytest
from acting import STREAM, Redis, client_of, numbered, numbers, take, until_blocked
from tests.valkey import Valkey

from synapse.wire import encoding

INFERENCE = {
    "event_type": "inference-complete",
    "request_id": "123",
    "latency_ms": 45,
    "success": True,
    "version": "2.0",
}


def read(server: Valkey, count: int, **options: Any) -> list[Any]:
    async def scene() -> list[Any]:
        async with client_of(server) as client:
            events = client.subscribe(STREAM, **options)
            found = await take(events, count)
            await events.aclose()
            return list(found)

    return asyncio.run(scene())


def test_without_a_group_everything_is_read_from_the_beginning(valkey: Valkey, redis: Redis) -> None:
    for n in range(25):
        redis.xadd(STREAM, {"event": "counted", "n": n})

    assert [event["n"] for event in read(valkey, 25)] == list(range(25))
    assert [event["n"] for event in read(valkey, 25)] == list(range(25))
    assert redis.xinfo_groups(STREAM) == []


def test_reading_may_begin_after_any_entry(valkey: Valkey, redis: Redis) -> None:
    for n in range(3):
        redis.xadd(STREAM, {"event": "counted", "n": n}, id=f"{n + 1}-0")

    assert [event["n"] for event in read(valkey, 2, start="1-0")] == [1, 2]
    assert [event["n"] for event in read(valkey, 1, start="2")] == [2]


@pytest.mark.parametrize("before", [0, 1])
def test_new_events_only_means_all_that_come_after_the_beginning(valkey: Valkey, redis: Redis, before: int) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(n) for n in range(-before, 0)])
            events = client.subscribe(STREAM, start="$", count=1)
            first = asyncio.create_task(numbers(events, 1))
            await until_blocked(redis)
            await client.publish_many(STREAM, [numbered(n) for n in range(10)])
            assert [*await first, *await numbers(events, 9)] == list(range(10))
            await events.aclose()

    asyncio.run(scene())


def entries_of_every_layout() -> list[dict[Any, Any]]:
    """Store the same event in the layouts of different publishers."""
    by_server = [
        encoding.pairs(
            encoding.encode(
                INFERENCE, layout=layout, timestamp="2024-01-15T10:30:00Z", source="cyrex", contract_version=1
            )
        )
        for layout in ("flat", "dual")
    ]
    rest = {name: value for name, value in INFERENCE.items() if name != "event_type"}
    python = {
        "event": "inference-complete",
        "request_id": "123",
        "latency_ms": "45",
        "success": "True",
        "version": "2.0",
    }
    typescript = {**python, "success": "true"}
    envelope = {"event_type": "inference-complete", "priority": "normal", "payload": json.dumps(rest)}
    return [*by_server, python, typescript, envelope, {"payload": json.dumps(INFERENCE)}]


def test_the_same_event_is_read_from_every_layout(valkey: Valkey, redis: Redis) -> None:
    for fields in entries_of_every_layout():
        redis.xadd(STREAM, fields)

    found = read(valkey, 6)

    assert found == [INFERENCE] * 6
    assert {type(event["latency_ms"]) for event in found} == {int}
    assert [event.layout for event in found] == ["flat", "dual", "foreign", "foreign", "envelope", "envelope"]
    assert [event.contract_version for event in found] == [1, 1, None, None, None, None]


def test_broken_bytes_and_entries_without_a_type_stop_nobody(valkey: Valkey, redis: Redis) -> None:
    redis.xadd(STREAM, {b"__data__": b"\xff\xfe\x00"})
    redis.xadd(STREAM, {"created": "2024-01-15T10:30:00"})
    redis.xadd(STREAM, {"event": "counted", "n": 1})

    binary, seed, event = read(valkey, 3)

    assert (binary, binary.event_type) == ({"__data__": "\ufffd\ufffd\x00"}, "")
    assert (seed, seed.event_type) == ({"created": "2024-01-15T10:30:00"}, "")
    assert event == {"event_type": "counted", "n": 1}
