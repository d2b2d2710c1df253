"""Reports on many events, and schemas made from them, reveal no PII: they go to many people."""

import json

import pytest

from synapse.compatibility import EarlierVersion, Mode, check
from synapse.schema.validator import compile_schema
from tests.definitions import define
from tests.pii.conftest import CONTRACT, EVENT, MASK

BACK_TEST = "/streams/orders/event-types/order-placed/backtest"
DRAFT = "/streams/orders/event-types/order-placed/draft"
JSON = "application/json"


def publish(client, *events):
    for event in events:
        assert client.post("/events/orders", json.dumps(event), content_type="application/json").status_code == 201


@pytest.mark.parametrize("property_", ["email", "n"])
def test_a_back_test_quotes_no_pii(client, redis, orders, property_):
    publish(client, EVENT)
    stricter = {"properties": {property_: {"type": "boolean"}}}

    answer = client.post(BACK_TEST, json.dumps(stricter), content_type="application/json").json()

    (found,) = answer["violations"]
    shown = {"email": f'a string ("{MASK}")', "n": "an integer (7)"}[property_]
    assert found["message"] == found["examples"][0]["message"]
    assert found["message"] == f"“{property_}” must be of type boolean, but is {shown}."


def test_values_that_the_candidate_schema_marks_as_pii_are_not_quoted(client, redis, db):
    define("orders", {"order-placed": None})
    publish(client, EVENT)
    candidate = {"properties": {"email": {"type": "boolean", "x-pii": True}}}

    answer = client.post(BACK_TEST, json.dumps(candidate), content_type="application/json")

    assert "must be of type boolean" in answer.content.decode()
    assert "anna" not in answer.content.decode()


def test_a_draft_from_traffic_keeps_the_marks_and_lists_no_words(client, redis, orders):
    publish(
        client, *[{**EVENT, "email": "anna", "tier": "gold"}] * 30, *[{**EVENT, "email": "bo", "tier": "lead"}] * 30
    )

    answer = client.post(DRAFT)

    properties = answer.json()["schema"]["properties"]
    assert properties["email"] == {"x-pii": True, "type": "string"}
    assert properties["card"]["properties"]["holder"] == {"x-pii": True, "type": "string"}
    assert "anna" not in answer.content.decode()
    assert "enum" not in properties["tier"]


def test_a_mark_is_no_change_of_what_is_accepted():
    marked = {**CONTRACT, "properties": {**CONTRACT["properties"], "n": {"type": "integer", "x-pii": True}}}

    assert compile_schema(marked).accepts(EVENT)
    assert check(marked, [EarlierVersion(version=1, document=CONTRACT)], mode=Mode.FULL).is_compatible


def test_guesses_in_a_candidate_schema_do_not_reveal_pii(client, redis, orders, impersonal):
    publish(client, EVENT, {**EVENT, "email": "bo@example.org"})

    def verdict(guess):
        candidate = {"properties": {"email": {"pattern": guess}, "card": {"properties": {"holder": {"const": guess}}}}}
        answer = client.post(BACK_TEST, json.dumps(candidate), content_type="application/json").json()
        return [answer[name] for name in ("refused", "newly_refused", "refused_by_active")], answer["masked"]

    assert verdict("^anna") == verdict("^bo") == verdict("Anna Ek") == ([2, 2, 0], True)


def test_guesses_do_not_reveal_pii_in_entries_of_other_programs(client, redis, orders, impersonal):
    redis.xadd("orders", {"event_type": "order-placed", "email": "anna@example.org", "n": "7"})

    candidate = {"properties": {"email": {"pattern": "^anna"}, "n": {"maximum": 5}}}
    answer = client.post(BACK_TEST, json.dumps(candidate), content_type="application/json").json()

    assert [found["pointer"] for found in answer["violations"]] == ["/email", "/n"]
    assert answer["refused_by_active"] == 0


def test_the_rest_of_a_masked_event_is_judged_as_it_is_and_the_answer_says_so(client, redis, orders, impersonal):
    publish(client, EVENT)

    candidate = {"properties": {"n": {"maximum": 5}}}
    answer = client.post(BACK_TEST, json.dumps(candidate), content_type="application/json").json()

    assert [found["message"] for found in answer["violations"]] == ["“n” must be 5 or less, but is 7."]
    assert answer["masked"] is True
    assert answer["note"].startswith("PII was masked (•••) before the events were tested")


@pytest.mark.parametrize("path", [BACK_TEST, DRAFT])
def test_a_caller_that_may_see_pii_gets_reports_on_unmasked_events(client, redis, orders, path):
    publish(client, EVENT)

    answer = client.post(path, json.dumps({"properties": {"email": {"pattern": "^anna"}}}), content_type=JSON).json()

    assert (answer["masked"], answer["note"]) == (False, None)
    assert answer.get("refused", 0) == 0


def test_where_nothing_is_marked_nothing_is_masked(client, redis, impersonal, db):
    define("orders", {"order-placed": {"type": "object"}})
    publish(client, EVENT)

    answer = client.post(BACK_TEST, json.dumps({"required": ["email"]}), content_type=JSON).json()

    assert (answer["refused"], answer["masked"]) == (0, False)


def test_a_draft_tells_nothing_of_masked_values(client, redis, impersonal, db):
    define("orders", {"order-placed": {"properties": {"year": {"x-pii": True}}}})
    publish(client, *[{"event_type": "order-placed", "year": 1967}] * 30)

    answer = client.post(DRAFT)

    assert answer.json()["schema"]["properties"]["year"] == {"x-pii": True, "type": "string"}
    assert answer.json()["masked"] is True
    assert "1967" not in answer.content.decode()
