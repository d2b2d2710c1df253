"""Ten thousand events are tested even when each breaks the schema; `make bench` measures the time.

The ordinary run makes do with a tenth of them.
"""

import json

import pytest
from django.core.management import call_command

from streams.snapshot import holder
from tests.chaos.profile import FULL
from tests.project.test_documents import ROOT

COUNT = 10_000 if FULL else 1_000
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
def many(db, store):
    call_command("catalog", "apply", str(ROOT / "catalog/deepiri.yaml"), verbosity=0)
    holder.forget()
    events = [{**EVENT, "latency_ms": n} for n in range(COUNT)]
    for start in range(0, len(events), 1000):
        store(*events[start : start + 1000], stream="inference-events", event_type="inference-complete")


def back_test(run, schema):
    return json.loads(run("backtest", SUBJECT, "-", "--json", given=json.dumps(schema).encode()).out)


def test_thousands_of_events_are_tested_and_drafted_from_also_when_all_break_five_rules(run, many):
    wrong = ("request_id", "model_name", "version", "user_id", "timestamp")

    bad = back_test(run, {"properties": {name: {"type": "integer"} for name in wrong}})
    good = back_test(run, {"required": ["request_id"]})
    drafted = run("draft_contract", "inference-events", "inference-complete")

    assert (bad["events"], bad["refused"], bad["explained"]) == (COUNT, COUNT, COUNT)
    assert len(bad["violations"]) == 5
    assert (good["events"], good["refused"]) == (COUNT, 0)
    assert f"{COUNT:,} events" in drafted.err
