"""Publishing, against a real server."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import redis as redis_py
from acting import STREAM, Redis, client_of, numbered
from pydantic import BaseModel
from tests.valkey import PASSWORD, Valkey, free_port

from deepiri_modelkit.contracts.events import InferenceEvent, ModelReadyEvent
from deepiri_modelkit.errors import CannotConnect, InvalidEvent, NotConnected, Refused
from deepiri_modelkit.streaming import StreamingClient, StreamTopics
from synapse.wire import encoding


def published(server: Valkey, *events: Any, stream: str = STREAM) -> list[str]:
    async def scene() -> list[str]:
        async with client_of(server) as client:
            return [await client.publish(stream, event) for event in events]

    return asyncio.run(scene())


def stored(redis: Redis, stream: str = STREAM) -> list[encoding.DecodedEntry]:
    """Return the events that the server's codec decodes."""
    return [encoding.decode(fields) for _, fields in redis.xrange(stream)]


def test_an_entry_id_is_returned_and_the_server_reads_the_event(valkey: Valkey, redis: Redis) -> None:
    (entry_id,) = published(valkey, {"event_type": "placed", "n": 1, "note": None, "tags": ["a"], "code": "45"})

    ((stored_id, _),) = redis.xrange(STREAM)
    (read,) = stored(redis)
    assert entry_id == stored_id.decode()
    assert read.event == {"event_type": "placed", "n": 1, "note": None, "tags": ["a"], "code": "45"}
    assert (read.layout, read.contract_version, read.source) == ("flat", None, "cyrex")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read.timestamp or "")


def test_the_dictionary_of_the_caller_is_never_changed(valkey: Valkey, redis: Redis) -> None:
    event = {"event": "placed", "metadata": {"a": [1]}}

    published(valkey, event, event)

    assert event == {"event": "placed", "metadata": {"a": [1]}}
    assert [read.event for read in stored(redis)] == [{"event_type": "placed", "metadata": {"a": [1]}}] * 2


def test_a_model_and_its_dictionary_are_stored_alike(valkey: Valkey, redis: Redis) -> None:
    event = InferenceEvent(
        event_type="inference-complete", request_id="r", model_name="m", latency_ms=45, confidence=0.92, success=False
    )

    published(valkey, event, event.dict())

    first, second = stored(redis)
    assert first.event == second.event == event.dict()


def test_nested_metadata_arrives_whole(valkey: Valkey, redis: Redis) -> None:
    metadata = {"accuracy": 0.95, "layers": [1, {"deep": None}], "flag": True}
    event = ModelReadyEvent(
        event_type="model-ready", model_name="m", version="2.0", registry_path="s3://m", metadata=metadata
    )

    published(valkey, event, stream=StreamTopics.MODEL_EVENTS)

    assert stored(redis, "model-events")[0].event["metadata"] == metadata


def test_any_pydantic_model_may_be_published(valkey: Valkey, redis: Redis) -> None:
    class Placed(BaseModel):
        event_type: str = "placed"
        at: datetime = datetime(2024, 1, 15, tzinfo=UTC)

    published(valkey, Placed())

    assert stored(redis)[0].event == {"event_type": "placed", "at": "2024-01-15T00:00:00Z"}


def test_many_events_are_stored_in_their_order(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> list[str]:
        async with client_of(valkey) as client:
            assert await client.publish_many(STREAM, []) == []
            return await client.publish_many(STREAM, (numbered(n) for n in range(500)))

    ids = asyncio.run(scene())

    assert ids == [entry_id.decode() for entry_id, _ in redis.xrange(STREAM)]
    assert [read.event["n"] for read in stored(redis)] == list(range(500))


def test_a_bad_event_in_publish_many_keeps_every_event_from_being_sent(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await client.publish_many(STREAM, [numbered(1), {"event_type": "placed", "n": float("nan")}])

    with pytest.raises(InvalidEvent) as caught:
        asyncio.run(scene())

    assert caught.value.__notes__ == ["It is event 1 of the call, counted from 0. Nothing was sent."]
    assert redis.exists(STREAM) == 0


def test_something_that_is_no_event_is_refused(valkey: Valkey) -> None:
    with pytest.raises(InvalidEvent, match="a dictionary or a Pydantic model, not str"):
        published(valkey, "event")


def test_many_tasks_may_share_a_client(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            await asyncio.gather(*(client.publish(STREAM, numbered(n)) for n in range(200)))

    asyncio.run(scene())

    assert sorted(read.event["n"] for read in stored(redis)) == list(range(200))


def test_an_event_that_redis_refuses_raises_refused_and_is_not_stored(valkey: Valkey, redis: Redis) -> None:
    redis.set(STREAM, "not a stream")

    with pytest.raises(Refused, match="did not store the event in “inference-events”") as caught:
        published(valkey, numbered(1))

    assert caught.value.reply.startswith("WRONGTYPE")
    assert caught.value.entry_ids == [None]


def test_a_wrong_password_is_a_refusal(valkey: Valkey) -> None:
    client = StreamingClient(redis_host="127.0.0.1", redis_port=valkey.port, redis_password="wrong")

    with pytest.raises(Refused, match="does not let this client in"):
        asyncio.run(client.connect())


def test_a_server_that_is_not_there_cannot_be_connected_to() -> None:
    client = StreamingClient(redis_host="127.0.0.1", redis_port=free_port())

    with pytest.raises(CannotConnect):
        asyncio.run(client.connect())


def test_a_url_says_it_all(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        url = valkey.url.removesuffix("/0") + "/3?decode_responses=true"
        async with StreamingClient(redis_host="nowhere", redis_url=url, timeout=60) as client:
            await client.publish(STREAM, numbered(1))
            events = client.subscribe(STREAM)
            assert (await anext(events))["n"] == 1
            await events.aclose()

    asyncio.run(scene())

    with redis_py.Redis(port=valkey.port, password=PASSWORD, db=3) as third:
        assert third.xlen(STREAM) == 1
    assert redis.xlen(STREAM) == 0


def test_a_closed_client_can_be_connected_again(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        client = client_of(valkey)
        await client.connect()
        await client.connect()
        await client.disconnect()
        await client.disconnect()
        with pytest.raises(NotConnected):
            await client.publish(STREAM, numbered(1))
        await client.connect()
        await client.publish(STREAM, numbered(2))
        await client.close()

    asyncio.run(scene())

    assert [read.event["n"] for read in stored(redis)] == [2]
