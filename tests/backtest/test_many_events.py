"""Ten thousand events are tested even when each breaks the schema; `make bench` measures the time."""

import json

import pytest
from django.core.management import call_command

from streams.snapshot import holder
from tests.project.test_documents import ROOT

SUBJECT = "inference-events.inference-complete"
EVENT = {
    "request_id": "req_123456",
    "model_name": "task-classifier-v2",
    "latency_ms": 45,
    "confidence": 0.92,
    "version": "2.0.0",
    "user_id": "user_42",
    "tokens_used": 120,
    "success": True,
    "timestamp": "2024-01-15T10:30:00Z",
}


@pytest.fixture
def ten_thousand(db, store):
    call_command("catalog", "apply", str(ROOT / "catalog/deepiri.yaml"), verbosity=0)
    holder.forget()
    events = [{**EVENT, "latency_ms": n} for n in range(10_000)]
    for start in range(0, len(events), 1000):
        store(*events[start : start + 1000], stream="inference-events", event_type="inference-complete")


def back_test(run, schema):
    return json.loads(run("backtest", SUBJECT, "-", "--json", given=json.dumps(schema).encode()).out)


def test_ten_thousand_events_are_tested_and_drafted_from_also_when_all_break_five_rules(run, ten_thousand):
    wrong = ("request_id", "model_name", "version", "user_id", "timestamp")

    bad = back_test(run, {"properties": {name: {"type": "integer"} for name in wrong}})
    good = back_test(run, {"required": ["request_id"]})
    drafted = run("draft_contract", "inference-events", "inference-complete")

    assert (bad["events"], bad["refused"], bad["explained"]) == (10_000, 10_000, 10_000)
    assert len(bad["violations"]) == 5
    assert (good["events"], good["refused"]) == (10_000, 0)
    assert "10,000 events" in drafted.err
