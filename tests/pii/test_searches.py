"""A search over events tells a caller without the right to PII nothing of a value that it may not see."""

import json
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core import payload_access
from core.audit_query import sentence
from core.models import AuditEntry, Role
from synapse.auth.permission import person_of
from tests.pii.conftest import EVENT, HIDDEN, MASK
from tests.tables import for_each

OTHER = {**EVENT, "email": "bert@example.org", "card": {"holder": "Bert Ek", "brand": "visa"}}


@pytest.fixture
def two(ask, orders):
    for event in (EVENT, OTHER):
        ask("POST", "/events/orders", json.dumps(event))


def find(ask, text):
    return ask("GET", f"/events?q={quote(text)}").json["events"]


@for_each("text", ["anna@example.org", "ANNA", "bert", "Ek", 'holder":"Anna', "example.org"])
def test_a_hidden_value_is_not_found_and_other_events_than_its_own_neither(ask, two, impersonal, text):
    assert find(ask, text) == []


def test_a_filter_about_a_hidden_value_finds_nothing(ask, two, impersonal):
    for text in ('event.email == "anna@example.org"', 'event.card.holder.contains("Ek")', 'data.email < "b"'):
        assert ask("GET", f"/events?filter={quote(text)}").json["events"] == [], text


@for_each("text", ["visa", "email", MASK, "7", "order-placed"])
def test_a_search_finds_the_shown_values_of_masked_events(ask, two, impersonal, text):
    assert [each["event"] for each in find(ask, text)] == [HIDDEN, HIDDEN]


def test_a_caller_that_may_see_pii_finds_the_value(ask, two):
    assert [each["event"] for each in find(ask, "ANNA@")] == [EVENT]


def test_an_export_is_masked_and_finds_no_hidden_value(event_loop_client, redis, orders, impersonal):
    for event in (EVENT, OTHER):
        event_loop_client("POST", "/events/orders", json.dumps(event))

    for form in ("ndjson", "csv"):
        whole = event_loop_client("GET", f"/export/events?format={form}&columns={'event' if form == 'csv' else ''}")
        searched = event_loop_client("GET", f"/export/events?format={form}&q=anna")

        assert b"anna" not in whole.body.lower()
        assert whole.body.count(MASK.encode()) >= 4
        assert len(searched.body.splitlines()) == (form == "csv")


def test_an_export_of_a_person_is_recorded_when_it_begins(redis, orders, define, settings):
    define("parcels")
    settings.AUTH = "required"
    by = person_of(User.objects.create_superuser("anna", password=None), address="192.0.2.7")

    payload_access.record_exporting(by, ["orders", "parcels"])
    payload_access.record_exporting(by, [])

    (row,) = AuditEntry.objects.filter(action="see payloads")
    assert (row.target, row.after["exporting"]) == ("streams orders, parcels", True)
    assert (
        sentence(row.action, row.target, row.before, row.after)
        == "exported the events of streams orders, parcels, with the PII in them"
    )


def test_a_search_of_a_person_is_recorded_for_each_stream_that_it_shows(client, redis, orders, define, settings):
    define("parcels")
    redis.xadd("parcels", {"n": 1}, id="1-0")
    redis.xadd("orders", {"n": 1}, id="2-0")
    redis.xadd("orders", {"n": 2}, id="3-0")
    settings.AUTH = "required"
    user = User.objects.create_user("anna", is_staff=True)
    user.groups.add(Role.objects.get(name="operator"))
    person = Client(headers={"host": "localhost"})
    person.force_login(user)

    assert person.get("/events?stream=orders,parcels").status_code == 200
    assert person.get("/events?stream=orders&q=nothing").status_code == 200

    rows = AuditEntry.objects.filter(action="see payloads").order_by("target")
    assert [(row.target, row.after["ids"]) for row in rows] == [
        ("stream orders", ["3-0", "2-0"]),
        ("stream parcels", ["1-0"]),
    ]


@pytest.mark.parametrize(
    "payload",
    ['{"email":"anna@example.org"', '["anna@example.org"]', ' [{"a":"anna@example.org"}', '{"email":"anna"} x'],
)
def test_a_payload_that_another_program_wrote_and_nothing_can_read_is_hidden_whole(
    ask, redis, orders, impersonal, payload
):
    id_ = redis.xadd("orders", {"event_type": "order-placed", "payload": payload}).decode()

    told = ask("GET", f"/streams/orders/messages/{id_}")

    assert told.json["event"]["payload"] == told.json["data"]["payload"] == MASK
    assert b"anna" not in told.body.lower()
    assert find(ask, "anna") == []


def test_a_payload_that_is_plain_text_is_shown(ask, redis, orders, impersonal):
    redis.xadd("orders", {"event_type": "order-placed", "payload": "left at the door"})

    assert [each["event"]["payload"] for each in find(ask, "door")] == ["left at the door"]
