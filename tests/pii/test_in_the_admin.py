"""Events in the admin: shown to people with the permission, masked for most of them, recorded for all."""

import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from bridges.models import ArchivedEvent
from contracts import registry
from core.models import AuditEntry, Role
from synapse.auth.principal import SYSTEM
from tests.admin.pages import text_of, url
from tests.definitions import contract
from tests.pii.conftest import EVENT, HIDDEN, MASK

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def operator(db):
    """A person who may see payloads; tests add the right to PII by name."""
    user = User.objects.create_user("anna-the-operator", is_staff=True)
    user.groups.add(Role.objects.get(name="operator"))
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.force_login(user)
    return client


@pytest.fixture
def insider(operator):
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_personal"))
    return operator


@pytest.fixture
def published(client, redis, orders):
    """The id of an event that was published."""
    return client.post("/events/orders", json.dumps(EVENT), content_type="application/json").json()["id"]


@pytest.fixture
def archived(orders):
    return ArchivedEvent.objects.create(
        stream="orders",
        entry_id="1-1",
        event_type="order-placed",
        source="anna@example.org",
        event=EVENT,
        occurred_at=NOW,
        published_at=NOW,
    )


def seen():
    rows = AuditEntry.objects.filter(action="see payloads").order_by("id")
    return [(row.actor, row.address, row.target, row.after) for row in rows]


def test_messages_are_masked_and_the_payload_access_is_recorded(operator, orders, published):
    page = operator.get(url("streams.stream", "messages", orders.pk), follow=True)
    one = operator.get(url("streams.stream", "message", orders.pk, published))

    for answer in (page, one):
        assert "anna@example.org" not in answer.content.decode()
        assert f'"email": "{MASK}"' in text_of(answer)
    what = {"events": 1, "ids": [published], "personal": False}
    assert seen() == [("person:anna-the-operator", "192.0.2.7", "stream orders", what)] * 2


def test_messages_seen_unmasked_are_recorded_as_access_to_pii(insider, orders, published):
    page = insider.get(url("streams.stream", "messages", orders.pk), follow=True)

    assert '"email": "anna@example.org"' in text_of(page)
    assert [after["personal"] for _, _, _, after in seen()] == [True]


def test_an_empty_page_is_no_look(operator, redis, orders):
    operator.get(url("streams.stream", "messages", orders.pk), follow=True)

    assert seen() == []


def test_archived_events_are_masked_in_the_list_and_one_by_one(operator, archived):
    listed = operator.get(url("bridges.archivedevent"))
    one = operator.get(url("bridges.archivedevent", "change", archived.pk))

    assert "anna@example.org" not in (listed.content + one.content).decode()
    assert one.context["archived"].event == HIDDEN
    assert [target for _, _, target, _ in seen()] == ["archived event orders 1-1"]
    archived.refresh_from_db()
    assert (archived.event, archived.source) == (EVENT, "anna@example.org")


def test_pii_marked_by_any_version_is_masked_in_the_archive(operator, archived, any_schema_may_follow):
    contract("orders.order-placed", {"properties": {"n": {"type": "integer", "x-pii": True}}})

    one = operator.get(url("bridges.archivedevent", "change", archived.pk))

    assert one.context["archived"].event == {**HIDDEN, "n": MASK}


def test_an_event_that_is_kept_as_a_text_is_masked_as_a_whole(operator, archived):
    ArchivedEvent.objects.update(event={"refused_by_database": json.dumps(EVENT)}, source="")

    one = operator.get(url("bridges.archivedevent", "change", archived.pk))

    assert one.context["archived"].event == {"refused_by_database": MASK}


def test_a_person_who_may_see_pii_sees_archived_events_unmasked(insider, archived):
    assert insider.get(url("bridges.archivedevent", "change", archived.pk)).context["archived"].event == EVENT


def test_the_audit_log_of_a_test_event_does_not_quote_it(admin_client, redis, orders):
    orders.enforcement = "warn"
    orders.save()
    event = {**EVENT, "email": 12345678}

    admin_client.post(
        url("streams.eventtype", "publish", orders.event_types.get(name="order-placed").pk),
        {"event": json.dumps(event), "publish": ""},
    )

    entry = AuditEntry.objects.get(action="publish")
    assert "12345678" not in json.dumps(entry.after)


def test_a_viewer_is_not_led_to_events(db, redis, orders):
    user = User.objects.create_user("viewer", is_staff=True)
    user.groups.add(Role.objects.get(name="viewer"))
    client = Client()
    client.force_login(user)

    pages = [
        client.get(url("streams.stream")),
        client.get("/admin/"),
        client.get(url("streams.stream", "groups", orders.pk)),
    ]

    for page in pages:
        assert page.status_code == 200
        assert "/messages/" not in page.content.decode()


def test_a_draft_is_tested_on_masked_events_and_the_page_says_so(operator, insider, orders, published):
    owner = registry.contract("orders.order-placed")
    registry.draft(owner.subject, '{"properties": {"email": {"pattern": "^anna"}}}', by=SYSTEM)

    def tested(client):
        return text_of(client.post(url("contracts.contract", "back_test", owner.pk), {"last": "10"}))

    assert "PII was masked" not in tested(insider)
    User.objects.get().user_permissions.clear()
    text = tested(operator)
    assert "PII was masked (•••) before the events were tested" in text
    assert "It would refuse 1 of 1 events" in text
    assert [after["personal"] for _, _, _, after in seen()] == [True, False]
