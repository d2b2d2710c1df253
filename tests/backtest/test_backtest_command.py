"""`manage.py backtest SUBJECT [FILE]`: its arguments, its output for people, and its output for scripts."""

import json

import pytest

from contracts import registry
from streams.models import EventType
from synapse.auth.principal import SYSTEM
from synapse.inspection import recent_events
from tests.backtest.conftest import PLACED
from tests.definitions import contract
from tests.tables import for_each

SUBJECT = "orders.order-placed"
STRICTER = {**PLACED, "properties": {"number": {"type": "integer", "minimum": 10}}}

pytestmark = pytest.mark.usefixtures("orders")


@pytest.fixture
def candidate(tmp_path):
    file = tmp_path / "candidate.json"
    file.write_text(json.dumps(STRICTER))
    return file


def test_events_that_would_be_refused_are_counted_and_the_reason_is_told(run, store, candidate):
    store({"number": 50})
    first, last = store({"number": 5}, {"number": 3})

    ran = run("backtest", SUBJECT, candidate)

    assert ran.status == 1
    lines = ran.out.splitlines()
    assert lines[0] == f"{candidate} on orders/order-placed: it would refuse 2 of 3 events."
    assert "  3 entries looked at" in lines
    assert "  Version 1, which is active, refuses none of them; 2 would be newly refused." in lines
    assert "  2 events: “number” must be 10 or more, but is 3." in lines
    assert "      rule      /properties/number/minimum" in lines
    assert "      place     /number" in lines
    assert f"      examples  {last}, {first}" in lines


def test_events_that_would_all_be_taken_give_status_0(run, store, candidate):
    store({"number": 50})

    ran = run("backtest", SUBJECT, candidate)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == f"{candidate} on orders/order-placed: it would refuse none."


def test_a_schema_can_come_from_the_standard_input(run, store, candidate):
    store({"number": 1})

    ran = run("backtest", SUBJECT, "-", given=candidate.read_bytes())

    assert ran.out.startswith("The schema on orders/order-placed: it would refuse 1 of 1 event.")


def test_without_a_file_the_draft_is_tested(run, store):
    store({"number": 1})
    registry.draft(SUBJECT, json.dumps(STRICTER), by=SYSTEM)

    ran = run("backtest", SUBJECT)

    assert ran.out.startswith(f"The draft of “{SUBJECT}” on orders/order-placed: it would refuse 1 of 1 event.")


def test_every_event_type_that_points_at_the_contract_is_tested(run, store, define, candidate):
    define("returns", {"order-returned": None})
    shared = registry.contract(SUBJECT)
    EventType.objects.filter(name="order-returned").update(contract=shared)
    store({"number": 1})
    store({"number": 1}, stream="returns", event_type="order-returned")

    ran = run("backtest", SUBJECT, candidate, "--json")

    tested = [json.loads(line) for line in ran.out.splitlines()]
    assert [(found["stream"], found["event_type"], found["refused"]) for found in tested] == [
        ("orders", "order-placed", 1),
        ("returns", "order-returned", 1),
    ]


def test_an_event_type_without_a_contract_is_named_by_its_own_subject(run, store, candidate):
    store({"number": 1}, event_type="order-packed")

    ran = run("backtest", "orders.order-packed", candidate)

    assert ran.status == 1
    assert "  They are checked against no contract now." in ran.out.splitlines()


def test_last_bounds_how_many_events_are_looked_at(run, store, candidate):
    store(*({"number": n} for n in range(9)))

    ran = run("backtest", SUBJECT, candidate, "--last", 4, "--json")

    assert [json.loads(ran.out)[name] for name in ("events", "scanned", "complete")] == [4, 4, True]


def test_a_search_that_ends_early_says_so(run, store, candidate, monkeypatch):
    store({"number": 1})
    store(*[{}] * 300, event_type="order-packed")
    monkeypatch.setattr(recent_events, "MOST_SCANNED", 200)

    ran = run("backtest", SUBJECT, candidate)

    assert ran.status == 0
    assert "no events of this type" in ran.out
    assert "200 entries looked at; the search ended early, because 200000 entries were looked at" in ran.out


def test_text_that_publishers_wrote_cannot_act_on_the_terminal(run, store, candidate):
    store({"number": "\x1b[2J\u202egnp"})

    ran = run("backtest", SUBJECT, candidate)

    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_a_schema_may_refer_to_what_the_contract_refers_to(run, store, tmp_path):
    contract("shared.number", {"type": "integer", "minimum": 10})
    with_reference = {"properties": {"number": {"$ref": "https://shop.example/number.json"}}}
    reference = registry.Reference(name="https://shop.example/number.json", subject="shared.number", version=1)
    registry.draft(SUBJECT, json.dumps(with_reference), by=SYSTEM, references=[reference])
    store({"number": 1}, {"number": 11})
    file = tmp_path / "next.json"
    file.write_text(json.dumps({**with_reference, "required": ["more"]}))

    assert "it would refuse 1 of 2 events" in run("backtest", SUBJECT).out
    assert "it would refuse 2 of 2 events" in run("backtest", SUBJECT, file).out


BAD = {
    "an unknown subject": (["nowhere"], b"{}", "No contract has the subject “nowhere”."),
    "no draft": ([SUBJECT], b"", f"“{SUBJECT}” has no draft. Give the schema that is to be tested."),
    "a file that is not there": ([SUBJECT, "no/such.json"], b"", "no/such.json cannot be read: no such file or"),
    "a folder": ([SUBJECT, "/"], b"", "/ cannot be read: is a directory."),
    "nothing": ([SUBJECT, "-"], b"", "The body is empty"),
    "no JSON": ([SUBJECT, "-"], b"{oops", "Not valid JSON"),
    "bytes": ([SUBJECT, "-"], b"\xff\x00", "not UTF-8"),
    "no schema": ([SUBJECT, "-"], b'{"type": "objekt"}', "(at /type)"),
    "a list": ([SUBJECT, "-"], b"[]", "A contract's schema is a JSON object."),
    "a remote reference": ([SUBJECT, "-"], b'{"$ref": "http://127.0.0.1:9/x"}', "nothing is ever fetched"),
    "too large a schema": ([SUBJECT, "-"], b'{"title": "' + b"x" * 2_000_000 + b'"}', "are accepted"),
}


@for_each("words, given, reason", BAD.values())
def test_unusable_input_ends_backtest_with_one_line_and_status_2(run, words, given, reason):
    ran = run("backtest", *words, given=given)

    assert ran.status == 2
    assert reason in ran.err
    assert "\n" not in ran.err.strip()


@for_each("last", ["abc", "0", "-1", "100001", "1.5", "", "٣"])
def test_last_is_a_whole_number_within_bounds(run, last):
    ran = run("backtest", SUBJECT, "-", f"--last={last}", given=b"{}")

    assert "a whole number from 1 to 100000" in ran.err


def test_a_contract_without_event_types_has_nothing_to_be_tested_on(run, db):
    contract("shared.address", {"type": "object"})

    ran = run("backtest", "shared.address", "-", given=b"{}")

    assert (ran.status, ran.err) == (2, "No event type points at the contract “shared.address”, so it has no events.")


def test_a_key_that_holds_no_stream_is_told(run, redis, candidate):
    redis.delete("orders")
    redis.set("orders", "something else")

    ran = run("backtest", SUBJECT, candidate)

    assert ran.status == 2
    assert "does not hold a stream" in ran.err
