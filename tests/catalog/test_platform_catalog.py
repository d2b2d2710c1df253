"""`catalog/deepiri.yaml`: the platform of the integration guide. Its examples are events that may be published."""

import json

import pytest
from django.core.management import call_command

from core import catalog_version
from core.models import AuditEntry
from deepiri_modelkit.contracts.events import EVENT_MODELS
from streams import connections
from streams.models import EventType, Grant, Service, Stream
from streams.snapshot import holder
from synapse.errors.streams import ContractViolated
from synapse.http.exchange import Request
from synapse.publishing import pipeline
from synapse_project import catalog
from tests.catalog.files import PLATFORM

EVENT_TYPES = {
    "model-events": {"model-ready", "model-updated", "model-deprecated"},
    "inference-events": {"inference-complete", "inference-error", "model-loaded"},
    "platform-events": {"user-action", "system-event", "service-status"},
    "agi-decisions": {"decision-made", "action-taken", "self-improvement"},
    "training-events": {"training-started", "training-progress", "training-complete", "training-failed"},
}

# As the integration guide prints them.
MODEL_READY = """
{
  "event_type": "model-ready",
  "model_name": "task-classifier-v2",
  "version": "2.0.0",
  "registry_path": "s3://mlflow-artifacts/models/task-classifier-v2",
  "metadata": {
    "accuracy": 0.95,
    "training_time": "2h 30m"
  }
}
"""
INFERENCE_COMPLETE = """
{
  "event_type": "inference-complete",
  "request_id": "req_123456",
  "model_name": "task-classifier-v2",
  "latency_ms": 45,
  "confidence": 0.92,
  "timestamp": "2024-01-15T10:30:00Z"
}
"""
# What the guide's code for axios and for the Python client sends.
INFERENCE_COMPLETE_OF_THE_SNIPPETS = """
{"event_type": "inference-complete", "request_id": "req_123", "model_name": "task-classifier-v2",
 "latency_ms": 45, "confidence": 0.92}
"""


@pytest.fixture
def platform(db):
    return catalog.load(PLATFORM).apply()


def validate(stream: str, body: str) -> dict:
    """Ask the publish pipeline; nothing is stored."""
    request = Request(
        method="POST",
        path=f"/events/{stream}/validate",
        params={"stream": stream},
        headers={"content-type": "application/json"},
        body=body.encode(),
    )
    return json.loads(connections.executor().run(pipeline.validate_events(request, holder.refresh())).body)


def test_the_platform_catalog_holds_the_streams_event_types_and_services_of_the_guide(platform):
    found = {stream.name: {each.name for each in stream.event_types.all()} for stream in Stream.objects.all()}

    assert found == EVENT_TYPES
    assert EventType.objects.filter(contract=None).count() == 0
    assert EventType.objects.filter(example=None).count() == 0
    # The twelve services, Helox, Cyrex-AGI, and the “Monitoring” that subscribes to training events.
    assert Service.objects.count() == 15
    assert Grant.objects.count() == 42


def test_each_example_is_accepted(platform):
    for event_type in EventType.objects.select_related("stream"):
        answer = validate(event_type.stream.name, json.dumps(event_type.example))

        assert (answer["event_type"], answer["contract_version"]) == (event_type.name, 1)


def test_the_events_that_the_guide_prints_are_accepted(platform):
    events = [
        ("model-events", MODEL_READY),
        ("inference-events", INFERENCE_COMPLETE),
        ("inference-events", INFERENCE_COMPLETE_OF_THE_SNIPPETS),
    ]
    for stream, body in events:
        answer = validate(stream, body)

        assert (answer["event_type"], answer["contract_version"]) == (json.loads(body)["event_type"], 1)


def test_the_contracts_are_enforced(platform):
    with pytest.raises(ContractViolated) as refused:
        validate("inference-events", INFERENCE_COMPLETE.replace("0.92", "1.92"))

    assert [violation["pointer"] for violation in refused.value.members["violations"]] == ["/confidence"]


def test_an_exported_catalog_plans_no_change(platform):
    text = catalog.export()

    assert catalog.Catalog(text.encode(), name="export").plan(delete=True) == []


def test_applying_it_again_changes_nothing_and_asks_little(platform, django_assert_max_num_queries):
    version, records = catalog_version.current(), AuditEntry.objects.count()

    with django_assert_max_num_queries(10):
        changes = catalog.load(PLATFORM).apply()

    assert changes == []
    assert (catalog_version.current(), AuditEntry.objects.count()) == (version, records)


def test_the_command_applies_it(db, capsys):
    call_command("catalog", "apply", PLATFORM)
    call_command("catalog", "apply", PLATFORM)

    first, second = capsys.readouterr().out.splitlines()
    assert first == "created: 16 contracts, 5 streams, 16 event types, 15 services, 42 grants, 2 bridges"
    assert second == "nothing to change"


# What the platform's own models give as JSON, where properties that they may leave out are null.
SENT_BY_THE_PLATFORM = {
    "model-ready": {
        "model_name": "m", "version": "1", "registry_path": "s3://m", "metadata": {},
        "model_type": None, "accuracy": None, "size_mb": None,
    },
    "model-loaded": {"model_name": "m", "version": "1", "load_time_ms": 1.5, "cache_location": None},
    "inference-complete": {
        "model_name": "m", "version": "1", "latency_ms": 45.0, "user_id": None, "request_id": None,
        "tokens_used": None, "cost": None, "confidence": None, "success": True,
    },
    "user-action": {"service": "s", "action": "a", "data": {}, "user_id": None, "organization_id": None},
    "system-event": {"service": "s", "action": "a", "data": {}, "user_id": None, "organization_id": None},
    "service-status": {"service": "s", "action": "a", "data": {}, "user_id": None, "organization_id": None},
    "decision-made": {
        "decision_type": "scale", "action": {}, "target_service": None, "reasoning": None, "confidence": None,
    },
    **{
        f"training-{state}": {
            "experiment_id": "e", "model_name": "m", "status": state,
            "training_run_request_id": None, "progress": None, "metrics": None, "error": None,
        }
        for state in ("started", "progress", "complete", "failed")
    },
}  # fmt: skip
STREAM_OF = {name: stream for stream, names in EVENT_TYPES.items() for name in names}


@pytest.mark.parametrize("named_as", ["event", "event_type"])
def test_events_sent_by_the_platforms_own_models_are_accepted(platform, named_as):
    for name, values in SENT_BY_THE_PLATFORM.items():
        about = {named_as: name, "timestamp": "2024-01-15T10:30:00.123456", "source": "cyrex", "correlation_id": None}

        validate(STREAM_OF[name], json.dumps({**about, **values}))
        validate(
            STREAM_OF[name], json.dumps({key: value for key, value in {**about, **values}.items() if value is not None})
        )


def test_each_model_of_the_client_is_accepted_with_the_fewest_and_with_all_of_its_properties(platform):
    assert set(EVENT_MODELS) == set(STREAM_OF)
    for name, model in EVENT_MODELS.items():
        example = EventType.objects.get(name=name).example
        required = {key for key, field in model.model_fields.items() if field.is_required()}
        fewest = model.model_validate({key: example[key] for key in required})
        whole = model.model_validate(example)

        for event in (fewest, whole):
            validate(STREAM_OF[name], json.dumps(event.model_dump()))
            validate(STREAM_OF[name], json.dumps(event.model_dump(exclude_none=True)))
            validate(STREAM_OF[name], event.json())
