"""Events that cannot be published and names that cannot be subscribed to are refused before anything is sent."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from deepiri_modelkit.errors import InvalidEvent, InvalidName, NotConnected
from deepiri_modelkit.names import check_name
from deepiri_modelkit.streaming import StreamingClient, StreamTopics
from deepiri_modelkit.wire import encode

DEEP: list[Any] = []
for _ in range(64):
    DEEP = [DEEP]
ENDLESS: dict[str, Any] = {}
ENDLESS["again"] = ENDLESS


def encoded(event: dict[Any, Any]) -> dict[str, str]:
    return encode(event, timestamp="2024-01-15T10:30:00Z", source="cyrex")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "“/metadata/0” is nan"),
        (float("-inf"), "“/metadata/0” is -inf"),
        (datetime(2024, 1, 15, tzinfo=UTC), "“/metadata/0” is of type datetime"),
        (Decimal("0.1"), "of type Decimal"),
        (b"bytes", "of type bytes"),
        ({1, 2}, "of type set"),
        (object(), "of type object"),
        (2**64, "does not fit in 64 bits"),
        (-(2**63) - 1, "does not fit in 64 bits"),
        ({7: "seven"}, "In “/metadata/0”, the property name 7 is no string"),
        ("half \ud83d", "half a character"),
        ("with \0 inside", "NUL"),
        ({"with \0 inside": 1}, "NUL"),
        (DEEP, "more than 64 levels"),
        (ENDLESS, "contains itself"),
    ],
)
def test_a_value_that_is_no_json_is_refused_with_its_place(value: object, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        encoded({"event_type": "placed", "metadata": [value]})


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "no “event_type”"),
        ({"event_type": None}, "no “event_type”"),
        ({"event_type": ""}, "“event_type” is a name"),
        ({"event_type": 7}, "“event_type” is a name"),
        ({"event_type": "a b"}, "“event_type” is a name"),
        ({"event_type": "x" * 101}, "“event_type” is a name"),
        ({"event_type": "syn:x"}, "“event_type” is a name"),
        ({"event": 7}, "no “event_type”"),
        ({"event_type": "placed", "synapse_version": 1}, "“synapse_version” has a name of Synapse's own"),
        ({"event_type": "placed", 7: 1}, "property name 7 is no string"),
        ({"event_type": "placed", "half \ud83d": 1}, "half a character"),
    ],
)
def test_an_event_that_no_subscriber_could_read_is_refused(event: dict[Any, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        encoded(event)


def test_invalid_event_and_invalid_name_are_value_errors() -> None:
    assert issubclass(InvalidEvent, ValueError)
    assert issubclass(InvalidName, ValueError)


def test_an_event_of_64_levels_is_accepted() -> None:
    assert encoded({"event_type": "placed", "deep": DEEP[0][0]})["deep"].count("[") == 63


def test_a_tuple_is_an_array_and_an_enum_is_its_value() -> None:
    fields = encoded({"event_type": "placed", "pair": (1, 2), "topic": StreamTopics.MODEL_EVENTS})

    assert (fields["pair"], fields["topic"]) == ("[1,2]", "model-events")
    assert type(fields["topic"]) is str


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 101, "syn:{orders}:stats", "a\n", None, 7])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidName, match="The stream cannot be named"):
        check_name("stream", name)


def test_every_name_seen_in_the_wild_is_accepted() -> None:
    for name in (
        "document.vectorize",
        "pipeline.helox-training.raw",
        "cyrex:jobs",
        "X:dlq",
        StreamTopics.AGI_DECISIONS,
    ):
        assert check_name("stream", name) == str(name)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"stream": "a b"}, "The stream cannot be named"),
        ({"consumer_group": "a b"}, "The consumer group cannot be named"),
        ({"consumer_group": "g", "consumer_name": "a b"}, "The consumer cannot be named"),
        ({"consumer_group": "g", "consumer_name": ""}, "The consumer cannot be named"),
        ({"consumer_name": "c"}, "without a consumer_group"),
        ({"start": "yesterday"}, "start is"),
        ({"count": 0}, "at least 1"),
        ({"block_ms": 0}, "at least 1"),
        ({"claim_idle_ms": 0}, "at least 1"),
    ],
)
def test_a_subscription_that_makes_no_sense_is_refused_at_once(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        StreamingClient().subscribe(**{"stream": "inference-events", **arguments})


def test_a_client_that_is_not_connected_says_what_to_do() -> None:
    with pytest.raises(NotConnected, match=r"connect\(\)"):
        asyncio.run(StreamingClient().publish("inference-events", {"event_type": "placed"}))
    with pytest.raises(NotConnected, match=r"connect\(\)"):
        StreamingClient().subscribe("inference-events")


def test_a_password_is_not_shown() -> None:
    client = StreamingClient(redis_password="secret-1", redis_url="redis://:secret-2@localhost")

    assert "secret" not in repr(vars(client))
