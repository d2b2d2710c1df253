"""Reports on many events, and schemas made from them, quote nothing personal: they go to many people."""

import json

import pytest

from contracts.compatibility import Earlier, Mode, check
from contracts.schemas import compile_schema
from tests.definitions import define
from tests.personal.conftest import CONTRACT, EVENT, MASK

BACK_TEST = "/streams/orders/event-types/order-placed/backtest"
DRAFT = "/streams/orders/event-types/order-placed/draft"


def publish(client, *events):
    for event in events:
        assert client.post("/events/orders", json.dumps(event), content_type="application/json").status_code == 201


@pytest.mark.parametrize("property_", ["email", "n"])
def test_a_back_test_quotes_no_personal_value(client, redis, orders, property_):
    publish(client, EVENT)
    stricter = {"properties": {property_: {"type": "boolean"}}}

    answer = client.post(BACK_TEST, json.dumps(stricter), content_type="application/json").json()

    (found,) = answer["violations"]
    shown = {"email": f'a string ("{MASK}")', "n": "an integer (7)"}[property_]
    assert found["message"] == found["examples"][0]["message"]
    assert found["message"] == f"“{property_}” must be of type boolean, but is {shown}."


def test_what_the_candidate_marks_is_not_quoted_either(client, redis, db):
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
    assert check(marked, [Earlier(version=1, document=CONTRACT)], mode=Mode.FULL).is_compatible
