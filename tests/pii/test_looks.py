"""Every payload access of a person over HTTP is recorded in the audit log; a program's is not."""

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from core.models import AuditEntry, Role
from tests.access.conftest import bearer
from tests.pii.conftest import EVENT
from tests.pii.test_dead_letters import BASE, said, work

__all__ = ["said", "work"]

JSON = "application/json"
STREAM = "/streams/orders"
TYPE = f"{STREAM}/event-types/order-placed"
CANDIDATE = json.dumps({"properties": {"n": {"maximum": 5}}})


@pytest.fixture
def published(client, redis, orders):
    return client.post("/events/orders", json.dumps(EVENT), content_type=JSON).json()["id"]


@pytest.fixture
def operator(db, settings):
    """A person who may see payloads and dead letters, where keys are required."""
    user = User.objects.create_user("anna", is_staff=True)
    user.groups.add(Role.objects.get(name="operator"))
    client = Client(headers={"host": "localhost"}, REMOTE_ADDR="192.0.2.7")
    client.force_login(user)
    settings.AUTH = "required"
    return client


def seen():
    rows = AuditEntry.objects.filter(action="see payloads").order_by("id")
    return [(row.actor, row.address, row.target, row.after) for row in rows]


def look(target, **after):
    return [("person:anna", "192.0.2.7", target, {"personal": False, **after})]


def test_a_page_of_messages(published, operator):
    assert operator.get(f"{STREAM}/messages").status_code == 200

    assert seen() == look("stream orders", events=1, ids=[published])


def test_reading_a_single_message_is_recorded(published, operator):
    assert operator.get(f"{STREAM}/messages/{published}").status_code == 200

    assert seen() == look("stream orders", events=1, ids=[published])


def test_a_back_test_with_the_events_that_it_names(published, operator):
    assert operator.post(f"{TYPE}/backtest", CANDIDATE, content_type=JSON).status_code == 200

    assert seen() == look("stream orders", events=1, ids=[published], back_test="order-placed")


def test_a_draft_from_traffic(published, operator):
    assert operator.post(f"{TYPE}/draft").status_code == 200

    assert seen() == look("stream orders", events=1, ids=[], draft="order-placed")


def test_a_draft_from_traffic_in_the_admin(published, operator, orders):
    page = f"/admin/streams/eventtype/{orders.event_types.get(name='order-placed').pk}/draft/"

    assert operator.post(page, {"last": "10"}).status_code == 200

    assert seen() == look("stream orders", events=1, ids=[], draft="order-placed")


@pytest.mark.parametrize(
    ("query", "more"), [({}, {}), ({"groups": "fingerprint"}, {}), ({"format": "ndjson"}, {"exported": True})]
)
def test_dead_letters(client, work, operator, settings, query, more):
    settings.AUTH = "open"
    work(client, EVENT)
    letter = client.get(BASE).json()["dead_letters"][0]["id"]
    settings.AUTH = "required"

    assert operator.get(BASE, query).status_code == 200

    assert seen() == look("dead letters orders/warehouse", events=1, ids=[letter], **more)


def test_reading_a_single_dead_letter_is_recorded(client, work, operator, settings):
    settings.AUTH = "open"
    work(client, EVENT)
    letter = client.get(BASE).json()["dead_letters"][0]["id"]
    settings.AUTH = "required"

    assert operator.get(f"{BASE}/{letter}").status_code == 200

    assert seen() == look("dead letters orders/warehouse", events=1, ids=[letter])


def test_a_person_who_may_see_pii_is_recorded_as_having_seen_it(published, operator):
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_personal"))

    operator.get(f"{STREAM}/messages")

    assert [after["personal"] for _, _, _, after in seen()] == [True]


def test_an_answer_without_events_is_not_recorded(redis, orders, operator):
    assert operator.get(f"{STREAM}/messages").json()["messages"] == []
    assert operator.get(f"{STREAM}/messages/1-1").status_code == 404
    assert operator.post(f"{TYPE}/backtest", CANDIDATE, content_type=JSON).json()["events"] == 0

    assert seen() == []


def test_events_read_by_a_service_are_not_recorded(ask, orders, published, key_of, settings):
    settings.AUTH = "required"
    key = bearer(key_of("shop", subscribes=["orders"]))

    assert len(ask("GET", f"{STREAM}/messages", headers=key).json["messages"]) == 1

    assert seen() == []
