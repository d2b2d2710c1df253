"""Testing a schema on real events, and drafting one from them, over HTTP."""

import json

import pytest

from contracts import registry
from contracts.models import ContractVersion
from synapse.auth.principal import SYSTEM
from tests.backtest.conftest import PLACED
from tests.both_ways import DjangoAlone
from tests.contracts.test_hostile import doubling
from tests.patience import that_ends
from tests.tables import for_each

BACKTEST = "/streams/orders/event-types/order-placed/backtest"
DRAFT = "/streams/orders/event-types/order-placed/draft"
STRICTER = json.dumps({**PLACED, "properties": {"number": {"type": "integer", "minimum": 10}}})

pytestmark = pytest.mark.usefixtures("orders")


@pytest.fixture
def ask(redis, db):
    """Ask Django: these routes are no part of the event loop."""
    return DjangoAlone()


def test_a_schema_is_tested_on_the_events_that_are_there(ask, store):
    store({"number": 50})
    first, last = store({"number": 5}, {"number": 3})

    answer = ask("POST", BACKTEST, STRICTER)

    assert answer.status == 200
    found = answer.json
    counts = {name: found[name] for name in ("events", "refused", "newly_refused", "refused_by_active", "scanned")}
    assert counts == {"events": 3, "refused": 2, "newly_refused": 2, "refused_by_active": 0, "scanned": 3}
    assert (found["active_version"], found["complete"], found["stopped"]) == (1, True, None)
    assert found["newest"]["id"] == last
    (rule,) = found["violations"]
    assert (rule["schema_pointer"], rule["keyword"], rule["pointer"], rule["events"]) == (
        "/properties/number/minimum",
        "minimum",
        "/number",
        2,
    )
    assert (rule["first_seen"]["id"], rule["last_seen"]["id"]) == (first, last)


def test_the_examples_lead_to_the_events(ask, store):
    (id_,) = store({"number": 5})

    (rule,) = ask("POST", BACKTEST, STRICTER).json["violations"]

    (example,) = rule["examples"]
    assert (example["id"], example["pointer"]) == (id_, "/number")
    assert ask("GET", example["path"]).json["event"]["number"] == 5


def test_without_a_body_the_draft_is_tested(ask, store):
    store({"number": 5})
    registry.draft("orders.order-placed", STRICTER, by=SYSTEM)

    assert ask("POST", BACKTEST).json["refused"] == 1


def test_a_test_changes_nothing(ask, store):
    store({"number": 5})

    ask("POST", BACKTEST, STRICTER)
    ask("POST", DRAFT)

    assert not ContractVersion.objects.filter(state="draft").exists()


def test_a_defined_type_without_events_has_none_to_refuse(ask):
    answer = ask("POST", BACKTEST, STRICTER)

    assert (answer.status, answer.json["events"], answer.json["newest"]) == (200, 0, None)


def test_foreign_entries_are_read_as_the_schema_in_question_would_read_them(ask, redis):
    redis.xadd("orders", {"event_type": "order-placed", "number": "12"})
    redis.xadd("orders", {b"\xff\xfe": b"\x00"})
    text = json.dumps({"properties": {"number": {"type": "string"}}})

    found = ask("POST", BACKTEST, text).json

    assert (found["events"], found["foreign"], found["scanned"]) == (1, 1, 2)
    assert (found["refused"], found["refused_by_active"]) == (0, 0)


def test_an_entry_whose_id_is_no_time_is_shown_without_one(ask, redis):
    redis.xadd("orders", {"event_type": "order-placed", "number": "x"}, id="18446744073709551615-1")

    found = ask("POST", BACKTEST, STRICTER).json

    assert found["newest"] == {"id": "18446744073709551615-1", "time": None}


def test_a_schema_is_drafted_from_the_events_that_are_there(ask, store):
    store({"number": 1, "colour": "red"}, {"number": 2})

    found = ask("POST", DRAFT + "?last=2").json

    assert (found["subject"], found["events"], found["active_version"]) == ("orders.order-placed", 2, 1)
    assert found["schema"]["properties"]["colour"] == {"type": "string"}
    assert '+    "colour": {' in found["difference"]


def test_a_draft_of_a_type_that_is_not_defined_has_its_own_subject(ask, store):
    store({"colour": "red"}, event_type="order-lost")

    found = ask("POST", "/streams/orders/event-types/order-lost/draft").json

    assert (found["subject"], found["active_version"], found["difference"]) == ("orders.order-lost", None, [])


BAD = {
    "an unknown stream": ("/streams/nowhere/event-types/x/backtest", "{}", 404, "unknown-stream"),
    "an unknown stream, without a body": ("/streams/nowhere/event-types/x/backtest", "", 404, "unknown-stream"),
    "an unknown stream to draft from": ("/streams/nowhere/event-types/x/draft", "", 404, "unknown-stream"),
    "a type that nobody knows": ("/streams/orders/event-types/x/backtest", "{}", 404, "no-events"),
    "a type without events": (DRAFT, "", 404, "no-events"),
    "no draft": (BACKTEST, "", 404, "nothing-to-test"),
    "no JSON": (BACKTEST, "{oops", 422, "bad-schema"),
    "bytes": (BACKTEST, b"\xff\xfe", 422, "bad-schema"),
    "no schema": (BACKTEST, '{"type": "objekt"}', 422, "bad-schema"),
    "a list": (BACKTEST, "[]", 422, "bad-schema"),
    "a remote reference": (BACKTEST, '{"$ref": "http://127.0.0.1:9/x"}', 422, "unresolved-reference"),
    "too large a schema": (BACKTEST, '{"title": "' + "x" * 2_000_000 + '"}', 422, "schema-too-large"),
    "too large a body": (BACKTEST, '{"title": "' + "x" * 9_000_000 + '"}', 413, "too-large"),
    "a number that is none": (BACKTEST + "?last=abc", "{}", 400, "bad-parameter"),
    "no events at all": (BACKTEST + "?last=0", "{}", 400, "bad-parameter"),
    "too many events": (DRAFT + "?last=100001", "", 400, "bad-parameter"),
}


@for_each("path, body, status, kind", BAD.values())
def test_unusable_requests_are_answered_with_a_problem_document(ask, path, body, status, kind):
    answer = ask("POST", path, body)

    assert (answer.status, answer.json["type"]) == (status, f"urn:synapse:problem:{kind}")


def test_a_schema_that_would_never_be_done_is_refused_at_once(ask, store):
    store({"number": 1})

    with that_ends():
        answer = ask("POST", BACKTEST, json.dumps(doubling("anyOf")))

    assert (answer.status, answer.json["type"]) == (422, "urn:synapse:problem:bad-schema")


def test_a_schema_is_sent_as_json(ask):
    assert ask("POST", BACKTEST, "{}", {"content-type": "text/plain"}).status == 415
    assert ask("POST", BACKTEST, "{}", {"content-type": "application/schema+json; charset=utf-8"}).status == 200


def test_a_key_that_holds_no_stream_is_a_conflict(ask, redis):
    redis.set("orders", "something else")

    assert ask("POST", BACKTEST, "{}").status == 409
    assert ask("POST", DRAFT).status == 409


def test_other_methods_are_not_served(ask):
    assert ask("GET", BACKTEST).status == 405


def test_the_schema_in_question_says_how_the_text_of_other_programs_is_read(ask, redis, store):
    for fields in ({"ref_a": "42"}, {"ref_a": "x"}, {"ref_a": "true", "ref_b": "1"}):
        redis.xadd("orders", {"event_type": "order-placed", **fields})

    found = {
        kind: ask("POST", BACKTEST, json.dumps({"patternProperties": {"^ref_": {"type": kind}}})).json["refused"]
        for kind in ("string", "integer", "boolean")
    }

    assert found == {"string": 0, "integer": 2, "boolean": 3}
