"""The event models, used like programs use them."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from deepiri_modelkit.contracts.events import BaseEvent, InferenceEvent, ModelReadyEvent, parse_event


def inference(**properties: object) -> InferenceEvent:
    given = {"request_id": "req_123", "model_name": "m", "latency_ms": 45, "confidence": 0.92, **properties}
    return InferenceEvent.model_validate({"event_type": "inference-complete", **given})


def test_dict_gives_every_property_with_its_type_and_no_warning() -> None:
    event = inference(success=True, note={"nested": [1, None, False]})

    assert event.dict() == {
        "event_type": "inference-complete",
        "timestamp": None,
        "source": None,
        "correlation_id": None,
        "request_id": "req_123",
        "model_name": "m",
        "latency_ms": 45,
        "confidence": 0.92,
        "version": None,
        "user_id": None,
        "tokens_used": None,
        "cost": None,
        "success": True,
        "note": {"nested": [1, None, False]},
    }
    assert type(event.dict()["latency_ms"]) is int


def test_dict_takes_the_options_of_model_dump() -> None:
    assert set(inference().dict(exclude_none=True)) == {
        "event_type",
        "request_id",
        "model_name",
        "latency_ms",
        "confidence",
    }


def test_json_and_model_dump_keep_whole_numbers_whole() -> None:
    assert json.loads(inference().json())["latency_ms"] == 45
    assert '"latency_ms":45,' in inference().json()
    assert type(inference().model_dump(mode="json")["latency_ms"]) is int


def test_properties_that_the_model_does_not_name_are_kept() -> None:
    event = inference(region="eu")

    assert event.dict()["region"] == "eu"
    assert parse_event(event.dict()) == event


def test_a_datetime_becomes_text_in_utc() -> None:
    moment = datetime(2024, 1, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))

    assert inference(timestamp=moment).timestamp == "2024-01-15T10:30:00Z"
    assert inference(timestamp=moment.astimezone(UTC).replace(tzinfo=None)).timestamp == "2024-01-15T10:30:00Z"


@pytest.mark.parametrize(
    "wrong", [{"latency_ms": "45"}, {"latency_ms": True}, {"confidence": 1.1}, {"success": "True"}]
)
def test_a_model_does_not_guess(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        inference(**wrong)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValidationError):
        inference(latency_ms=float("nan"))


def test_parse_event_finds_the_model_by_event_type_or_event() -> None:
    ready = {"model_name": "m", "version": "1", "registry_path": "s3://m", "metadata": {"accuracy": 0.95}}

    assert isinstance(parse_event({"event_type": "model-ready", **ready}), ModelReadyEvent)
    assert isinstance(parse_event({"event": "model-ready", **ready}), ModelReadyEvent)


def test_an_event_of_another_type_is_a_base_event() -> None:
    event = parse_event({"event_type": "document.vectorize", "document_id": "d1"})

    assert type(event) is BaseEvent
    assert event.dict(exclude_none=True) == {"event_type": "document.vectorize", "document_id": "d1"}


@pytest.mark.parametrize("event", [{}, {"event_type": ""}, {"event_type": None}, {"event_type": 7}])
def test_an_event_without_a_type_is_refused(event: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse_event(event)
