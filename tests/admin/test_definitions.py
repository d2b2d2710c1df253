"""Definitions are edited in the admin; each change is recorded and obeyed by the next publish."""

import pytest
from django.urls import reverse

from contracts import registry
from contracts.models import ContractVersion
from core.models import AuditEntry
from streams.models import EventType, Stream
from streams.snapshot import holder
from tests.definitions import contract, define

EVENT = b'{"event_type":"order-placed","n":1}'


def publish(client, event=EVENT):
    holder.refresh()
    return client.post("/events/orders", event, content_type="application/json")


def latest_change():
    entry = AuditEntry.objects.first()
    return entry.actor, entry.action, entry.target


@pytest.mark.parametrize(
    "page", ["streams/stream", "streams/eventtype", "streams/service", "streams/grant", "contracts/contract"]
)
def test_every_definition_has_its_pages(admin_client, page):
    define("orders", {"order-placed": {"required": ["n"]}})

    assert admin_client.get(f"/admin/{page}/").status_code == 200
    assert admin_client.get(f"/admin/{page}/add/").status_code == 200


def test_a_stream_is_made_in_the_admin_and_takes_events_at_once(admin_client, redis):
    form = {"layout": "flat", "enforcement": "enforce", "unknown_event_types": "accept"}
    form |= {"name": "orders", "hard_length": "1000", "when_full": "drop_oldest", "purpose": "To sell"}
    inlines = {f"event_types-{part}": "0" for part in ("TOTAL_FORMS", "INITIAL_FORMS")}

    saved = admin_client.post(reverse("admin:streams_stream_add"), form | inlines)

    assert saved.status_code == 302
    assert publish(admin_client).status_code == 201
    assert latest_change() == ("person:admin", "create", "stream orders")
    assert AuditEntry.objects.first().after["purpose"] == "To sell"


@pytest.mark.parametrize("name", ["", "two words", "syn:x", "a/b", "x" * 101, "né"])
def test_a_bad_name_is_refused_on_its_field(admin_client, name):
    form = {"layout": "flat", "enforcement": "enforce", "unknown_event_types": "accept", "name": name}

    page = admin_client.post(reverse("admin:streams_stream_add"), form)

    assert page.status_code == 200
    assert page.context["adminform"].form.errors["name"]
    assert not Stream.objects.exists()


def test_limits_that_contradict_each_other_are_refused(admin_client):
    form = {"layout": "flat", "enforcement": "enforce", "unknown_event_types": "accept", "when_full": "reject"}
    form |= {"name": "orders", "max_length": "100", "hard_length": "10"}

    page = admin_client.post(reverse("admin:streams_stream_add"), form)

    assert "hard_length" in page.context["adminform"].form.errors


def test_a_draft_that_is_activated_in_the_admin_is_obeyed_by_the_next_publish(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}})
    assert publish(admin_client).status_code == 201
    owner = registry.contract("orders.order-placed")

    form = {"contract": owner.pk, "draft_text": '{"required": ["m"]}', "activate": "on"}
    admin_client.post(reverse("admin:contracts_contractversion_add"), form)

    assert publish(admin_client).status_code == 422
    assert registry.active_version(owner).number == 2
    assert latest_change() == ("person:admin", "activate", "contract orders.order-placed")


def test_a_draft_that_is_only_saved_changes_nothing(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}})
    owner = registry.contract("orders.order-placed")

    form = {"contract": owner.pk, "draft_text": '{"required": ["m"]}'}
    admin_client.post(reverse("admin:contracts_contractversion_add"), form)

    assert publish(admin_client).status_code == 201
    assert owner.versions.filter(state="draft").count() == 1


def test_a_bad_schema_is_refused_on_its_field_with_the_place(admin_client):
    owner = contract("orders.order-placed", {"required": ["n"]}).contract

    form = {"contract": owner.pk, "draft_text": '{"properties": 5}', "activate": "on"}
    page = admin_client.post(reverse("admin:contracts_contractversion_add"), form)

    assert "at /properties" in page.context["adminform"].form.errors["draft_text"][0]


def test_an_activated_version_cannot_be_edited_or_deleted(admin_client):
    version = contract("orders.order-placed", {"required": ["n"]})
    page = reverse("admin:contracts_contractversion_change", args=[version.pk])

    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"contract": version.contract_id, "draft_text": "{}"}).status_code == 403
    assert ContractVersion.objects.get().text == version.text


def test_versions_are_deprecated_by_an_action(admin_client):
    version = contract("orders.order-placed", {"required": ["n"]})
    form = {"action": "deprecate", "_selected_action": [version.pk]}

    admin_client.post(reverse("admin:contracts_contractversion_changelist"), form)

    assert registry.active_version(version.contract) is None


def test_an_event_type_is_deleted_with_a_record(admin_client):
    define("orders", {"order-placed": None})
    event_type = EventType.objects.get()

    admin_client.post(reverse("admin:streams_eventtype_delete", args=[event_type.pk]), {"post": "yes"})

    assert latest_change() == ("person:admin", "delete", "event type orders/order-placed")


def test_the_record_cannot_be_changed(admin_client, admin_user):
    define("orders", {"order-placed": {"required": ["n"]}})
    entry = AuditEntry.objects.first()

    assert admin_client.get("/admin/core/auditentry/").status_code == 200
    assert admin_client.get("/admin/core/auditentry/add/").status_code == 403
    assert admin_client.post(f"/admin/core/auditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_contract_has_one_draft(admin_client):
    owner = contract("orders.order-placed", {"required": ["n"]}).contract
    form = {"contract": owner.pk, "draft_text": '{"required": ["m"]}'}
    admin_client.post(reverse("admin:contracts_contractversion_add"), form)

    page = admin_client.post(reverse("admin:contracts_contractversion_add"), form)

    assert "has a draft already" in str(page.context["adminform"].form.errors)
