"""The platform's own flows of events: from a publisher over HTTP or with the Python client to subscribers of either
kind, each event arrives equal for every pair of publisher and subscriber."""

import asyncio

import orjson
import pytest
from django.core.management import call_command

from deepiri_modelkit.streaming import StreamingClient
from deepiri_modelkit.streaming.topics import StreamTopics
from streams.snapshot import holder

MODEL_READY = {
    "event_type": "model-ready",
    "model_name": "task-classifier-v2",
    "version": "2.0.0",
    "registry_path": "s3://mlflow-artifacts/models/task-classifier-v2",
    "metadata": {"accuracy": 0.95, "training_time": "2h 30m", "labels": ["spam", "ham"], "tuned": True, "parent": None},
}
INFERENCES = [
    {
        "event_type": "inference-complete",
        "request_id": f"req_{number}",
        "model_name": "task-classifier-v2",
        "latency_ms": 40 + number,
        "confidence": 0.92,
    }
    for number in range(5)
]
PROGRESS = [
    {
        "event_type": "training-progress",
        "experiment_id": "exp_1",
        "model_name": "task-classifier-v3",
        "epoch": epoch,
        "progress": epoch / 10,
        "metrics": {"loss": 1 / epoch},
    }
    for epoch in range(1, 6)
]


@pytest.fixture(autouse=True)
def platform(db, redis):
    """The catalog of the guide."""
    call_command("catalog", "apply", "catalog/deepiri.yaml", verbosity=0)
    holder.forget()


@pytest.fixture
def url(valkey_of_session):
    return valkey_of_session.url


@pytest.fixture(params=["over HTTP", "with the client"])
def publish(request, url, event_loop_client):
    """Publish events one after the other: `publish(stream, events)`."""

    def over_http(stream, events):
        for event in events:
            answer = event_loop_client("POST", f"/events/{stream}", orjson.dumps(event))
            assert answer.status == 201, answer.json

    def with_the_client(stream, events):
        async def work():
            async with StreamingClient(redis_url=url, timeout=60) as client:
                for event in events:
                    await client.publish(stream, event)

        asyncio.run(work())

    return over_http if request.param == "over HTTP" else with_the_client


@pytest.fixture(params=["over HTTP", "with the client"])
def received(request, url, event_loop_client):
    """Return what a group's subscriber gets of a stream: `received(stream, group, count)`."""

    def over_http(stream, group, count):
        answer = event_loop_client("GET", f"/streams/{stream}/messages?order=oldest&count={count}")
        return [message["event"] for message in answer.json["messages"]]

    def with_the_client(stream, group, count):
        return asyncio.run(subscribe(url, stream, group, count))

    return over_http if request.param == "over HTTP" else with_the_client


async def subscribe(url, stream, group, count):
    got = []
    async with StreamingClient(redis_url=url, timeout=60) as client:
        async for event in client.subscribe(stream, consumer_group=group, block_ms=100):
            got.append(dict(event))
            if len(got) == count:
                break
    return got


def test_a_model_that_is_ready_reaches_cyrex_with_its_metadata_intact(publish, received):
    publish(StreamTopics.MODEL_EVENTS, [MODEL_READY])

    assert received("model-events", "cyrex-runtime", 1) == [MODEL_READY]


def test_inferences_reach_analytics_notifications_and_the_realtime_gateway_at_once(publish, url):
    publish("inference-events", INFERENCES)

    async def work():
        groups = ("analytics-service", "notification-service", "realtime-gateway")
        return await asyncio.gather(*(subscribe(url, "inference-events", group, len(INFERENCES)) for group in groups))

    assert asyncio.run(work()) == [INFERENCES] * 3


def test_training_progress_reaches_analytics_in_its_order(publish, received):
    publish("training-events", PROGRESS)

    assert received("training-events", "analytics-service", len(PROGRESS)) == PROGRESS


def test_both_kinds_of_publisher_share_a_stream(url, event_loop_client):
    event_loop_client("POST", "/events/inference-events", orjson.dumps(INFERENCES[0]))

    async def publish_with_the_client():
        async with StreamingClient(redis_url=url, timeout=60) as client:
            await client.publish("inference-events", INFERENCES[1])

    asyncio.run(publish_with_the_client())

    assert asyncio.run(subscribe(url, "inference-events", "analytics-service", 2)) == INFERENCES[:2]
