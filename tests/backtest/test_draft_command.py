"""`manage.py draft_contract STREAM EVENT_TYPE`: from the events that are there to a draft."""

import json

import pytest

from contracts import registry
from contracts.models import ContractVersion
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM

SUBJECT = "orders.order-placed"

pytestmark = pytest.mark.usefixtures("orders")


def drafts():
    return {str(found.contract): found.text for found in ContractVersion.objects.filter(state="draft")}


def test_the_schema_is_printed_and_nothing_is_saved(run, store):
    store({"colour": "red"}, {"colour": "blue", "weight": 2.5}, event_type="order-packed")

    ran = run("draft_contract", "orders", "order-packed")

    assert ran.status == 0
    assert json.loads(ran.out)["required"] == ["event_type", "colour"]
    assert json.loads(ran.out)["properties"]["weight"] == {"type": "number"}
    assert ran.err.strip() == "Made from 2 events of “orders”, 2 entries looked at."
    assert drafts() == {}


def test_how_it_differs_from_the_active_version_is_told_beside(run, store):
    store({"number": 1, "colour": "red"})

    ran = run("draft_contract", "orders", "order-placed")

    assert json.loads(ran.out)["properties"]["number"]["description"] == "The order's own number."
    changed = [line for line in ran.err.splitlines() if line.startswith(("+ ", "- "))]
    assert [line.strip() for line in changed if "colour" in line] == ['+    "colour"', '+    "colour": {']
    assert not [line for line in changed if "description" in line]


def test_events_that_say_nothing_new_propose_what_is_active(run, store):
    store({"number": 1})

    ran = run("draft_contract", "orders", "order-placed")

    assert "It equals version 1, which is active." in ran.err


def test_a_type_that_is_not_defined_can_be_drafted(run, store):
    store({"colour": "red"}, event_type="order-lost")

    ran = run("draft_contract", "orders", "order-lost", "--save")

    assert ran.status == 0
    assert list(drafts()) == ["orders.order-lost"]
    assert "No event type points at it: “order-lost” events of “orders” stay unchecked." in ran.err


def test_saving_makes_it_the_draft_of_the_contract_and_is_recorded(run, store):
    store({"number": 1, "colour": "red"})

    ran = run("draft_contract", "orders", "order-placed", "--save")

    assert (ran.status, ran.out) == (0, "")
    assert f"Saved as the draft of “{SUBJECT}”." in ran.err
    assert "colour" in drafts()[SUBJECT]
    entry = AuditEntry.objects.get(action="draft")
    assert (entry.actor, entry.target) == ("synapse", f"contract {SUBJECT}")
    assert "colour" not in entry.before["schema"]
    assert entry.after == {"schema": drafts()[SUBJECT]}


def test_saving_twice_is_saving_once(run, store):
    store({"number": 1, "colour": "red"})

    assert run("draft_contract", "orders", "order-placed", "--save").status == 0
    assert run("draft_contract", "orders", "order-placed", "--save").status == 0

    assert AuditEntry.objects.filter(action="draft").count() == 1


def test_an_existing_draft_is_replaced_only_on_request(run, store):
    registry.draft(SUBJECT, '{"title": "By hand"}', by=SYSTEM)
    store({"number": 1, "colour": "red"})

    refused = run("draft_contract", "orders", "order-placed", "--save")

    assert refused.status == 2
    assert "--replace puts this in its place" in refused.err
    assert drafts()[SUBJECT] == '{"title": "By hand"}'
    assert run("draft_contract", "orders", "order-placed", "--save", "--replace").status == 0
    assert "colour" in drafts()[SUBJECT]
    assert AuditEntry.objects.filter(action="draft").first().before == {"schema": '{"title": "By hand"}'}


def test_the_schema_can_be_written_to_a_file(run, store, tmp_path):
    store({"number": 1})

    ran = run("draft_contract", "orders", "order-placed", "-o", tmp_path / "schema.json")

    assert (ran.status, ran.out) == (0, "")
    assert json.loads((tmp_path / "schema.json").read_text())["title"] == "Order placed"


def test_a_file_that_cannot_be_written_is_told(run, store, tmp_path):
    store({"number": 1})

    ran = run("draft_contract", "orders", "order-placed", "-o", tmp_path / "no" / "schema.json")

    assert ran.status == 2
    assert "cannot be written: no such file or directory." in ran.err


def test_the_draft_accepts_what_it_was_made_from(run, store):
    store(*({"number": n, "note": None if n % 2 else "x", "lines": [{"price": n / 3}] * n} for n in range(20)))
    run("draft_contract", "orders", "order-placed", "--save")

    ran = run("backtest", SUBJECT)

    assert (ran.status, "it would refuse none" in ran.out) == (0, True)


def test_entries_of_other_programs_are_passed_over_or_read_as_far_as_they_go(run, store, redis):
    redis.xadd("orders", {b"\xff\x00": b"\xfe\x00\x01"})
    redis.xadd("orders", {"event_type": "order-packed", "colour": "red", b"\x00": b"\x00", b"\xff": "1"})
    redis.xadd("orders", {"payload": '{"event_type": "order-packed", "colour": "blue"}', "sender": "depot"})

    ran = run("draft_contract", "orders", "order-packed")

    assert json.loads(ran.out)["required"] == ["event_type", "colour"]
    assert "Made from 2 events of “orders”, 3 entries looked at." in ran.err


BAD = {
    "a stream that is not defined": (["nowhere", "x"], "There is no stream “nowhere”."),
    "an empty stream": (["orders", "order-placed"], "holds no “order-placed” events: the stream is empty."),
    "replacing without saving": (["orders", "order-placed", "--replace"], "--replace goes with --save."),
    "a bad number": (["orders", "order-placed", "--last=abc"], "a whole number from 1 to 100000"),
}


@pytest.mark.parametrize(("words", "reason"), BAD.values(), ids=BAD.keys())
def test_unusable_arguments_end_draft_contract_with_the_reason(run, words, reason):
    ran = run("draft_contract", *words)

    assert ran.status != 0
    assert reason in ran.err


def test_a_type_of_which_there_are_no_events_is_told(run, store):
    store({}, {}, event_type="order-packed")

    ran = run("draft_contract", "orders", "order-placed")

    assert (ran.status, ran.err) == (
        2,
        "The stream “orders” holds no “order-placed” events: none of its newest 2 entries is one.",
    )
