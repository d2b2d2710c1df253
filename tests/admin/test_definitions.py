"""Definitions are edited in the admin; each change is recorded and obeyed by the next publish."""

import json

import pytest

from core.models import AuditEntry
from streams.models import EventType, Grant, Service, Stream
from streams.snapshot import holder
from tests.admin.pages import no_rows, text_of, url
from tests.definitions import define

STREAM = {"layout": "flat", "enforcement": "enforce", "unknown_event_types": "accept", "when_full": "drop_oldest"}
STREAM |= {"idempotency_key": "optional", "idempotency_window": "1 00:00:00", "durability": "server", "replicas": "1"}
STREAM |= {"name": "orders", "hard_length": "1000", "purpose": "To sell"}
MODELS = ["streams.stream", "streams.eventtype", "streams.service", "streams.grant", "contracts.contract", "auth.user"]


def latest_change():
    entry = AuditEntry.objects.first()
    return entry.actor, entry.action, entry.target


@pytest.mark.parametrize("model", MODELS)
def test_every_definition_has_its_pages(admin_client, redis, model):
    define("orders", {"order-placed": {"required": ["n"]}})

    assert admin_client.get(url(model)).status_code == 200
    assert admin_client.get(url(model, "add")).status_code == 200


def test_a_stream_is_made_in_the_admin_and_takes_events_at_once(admin_client, redis):
    saved = admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types"))

    holder.refresh()
    published = admin_client.post("/events/orders", b'{"event_type":"x"}', content_type="application/json")
    assert (saved.status_code, published.status_code) == (302, 201)
    assert latest_change() == ("person:admin", "create", "stream orders")
    assert AuditEntry.objects.first().after["purpose"] == "To sell"


def rows_of_event_types(*rows):
    found = {"event_types-TOTAL_FORMS": str(len(rows)), "event_types-INITIAL_FORMS": "0"}
    for place, (name, example) in enumerate(rows):
        found |= {f"event_types-{place}-name": name, f"event_types-{place}-example": example}
    return found


def publish(client, stream, **event):
    holder.refresh()
    return client.post(f"/events/{stream}", json.dumps(event), content_type="application/json").status_code


def test_a_stream_is_made_with_event_types_whose_contracts_follow_from_examples(admin_client, redis):
    rows = rows_of_event_types(("sold", '{"event_type": "sold", "total": 1.5}'), ("sent", ""), ("", ""))

    saved = admin_client.post(url("streams.stream", "add"), STREAM | rows)

    stream = Stream.objects.get()
    assert saved["location"] == url("streams.stream", "change", stream.pk)
    contracts = dict(stream.event_types.values_list("name", "contract__subject"))
    assert contracts == {"sold": "orders.sold", "sent": None}
    assert publish(admin_client, "orders", event_type="sold", total=2) == 201
    assert publish(admin_client, "orders", event_type="sold", total="two") == 422
    assert publish(admin_client, "orders", event_type="sent", anything=1) == 201


def test_an_example_of_another_event_type_is_refused_in_its_row(admin_client, redis):
    rows = rows_of_event_types(("sold", '{"event_type": "sent"}'))

    page = admin_client.post(url("streams.stream", "add"), STREAM | rows)

    assert "is an event of type “sent”, not “sold”" in text_of(page)
    assert not Stream.objects.exists()


def test_an_event_type_is_added_with_a_contract_from_its_example(admin_client, redis):
    stream = define("orders", {"sold": {"required": ["n"]}})
    page = admin_client.get(url("streams.stream", "change", stream.pk)).content.decode()
    form = {"stream": stream.pk, "name": "sent", "description": "", "contract": "", "make_contract": "on"}

    admin_client.post(url("streams.eventtype", "add"), form | {"example": '{"event_type": "sent", "id": 7}'})

    assert f"{url('streams.eventtype', 'add')}?stream={stream.pk}" in page
    made = EventType.objects.get(name="sent")
    assert made.contract.subject == "orders.sent"
    assert publish(admin_client, "orders", event_type="sent", id="x") == 422
    again = admin_client.get(url("streams.eventtype", "change", made.pk))
    assert "Make a contract from the example" not in text_of(again)


def test_a_person_who_may_not_make_contracts_adds_an_event_type_without_one(client_who_may, redis):
    stream = define("orders")
    client = client_who_may("streams.add_eventtype", "streams.view_eventtype", "streams.view_stream")
    form = {"stream": stream.pk, "name": "sent", "description": "", "contract": "", "make_contract": "on"}

    page = client.get(url("streams.eventtype", "add"))
    client.post(url("streams.eventtype", "add"), form | {"example": '{"event_type": "sent"}'})

    assert "Make a contract from the example" not in text_of(page)
    assert EventType.objects.get().contract is None


def test_a_save_that_changes_nothing_leaves_no_audit_entry(admin_client, redis):
    admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types"))
    stream = Stream.objects.get()

    admin_client.post(url("streams.stream", "change", stream.pk), STREAM | no_rows("event_types"))

    assert [entry.action for entry in AuditEntry.objects.all()] == ["create"]


@pytest.mark.parametrize("name", ["", "two words", "syn:x", "a/b", "x" * 101, "né"])
def test_a_bad_name_is_refused_on_its_field(admin_client, name):
    page = admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types") | {"name": name})

    assert page.context["adminform"].form.errors["name"]
    assert not Stream.objects.exists()


def test_limits_that_contradict_each_other_are_refused(admin_client):
    limits = {"max_length": "100", "hard_length": "10"}

    page = admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types") | limits)

    assert "hard_length" in page.context["adminform"].form.errors


def test_the_deletion_of_an_event_type_is_recorded(admin_client):
    define("orders", {"order-placed": None})

    admin_client.post(url("streams.eventtype", "delete", EventType.objects.get().pk), {"post": "yes"})

    assert latest_change() == ("person:admin", "delete", "event type orders/order-placed")


def test_each_of_several_deleted_event_types_has_an_audit_entry(admin_client):
    define("orders", {"one": None, "two": None})
    chosen = list(EventType.objects.values_list("pk", flat=True))

    form = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    admin_client.post(url("streams.eventtype"), form)

    assert not EventType.objects.exists()
    assert {entry.target for entry in AuditEntry.objects.filter(action="delete")} == {
        "event type orders/one",
        "event type orders/two",
    }


def grant_form(service, *rows):
    """Return the form of a service whose grants are rows of pk, action, stream and whether to delete."""
    old = sum(1 for row in rows if row[0])
    form = {"name": service.name, "description": service.description}
    form |= {"grants-TOTAL_FORMS": str(len(rows)), "grants-INITIAL_FORMS": str(old)}
    for place, (pk, action, stream, is_deleted) in enumerate(rows):
        fields = {"id": pk, "service": service.pk, "action": action, "stream": stream, "event_type": "*"}
        form |= {f"grants-{place}-{name}": value for name, value in fields.items()}
        form |= {f"grants-{place}-DELETE": "on"} if is_deleted else {}
    return form


def test_each_grant_that_is_edited_with_its_service_has_an_audit_entry(admin_client):
    service = Service.objects.create(name="shop")
    kept = Grant.objects.create(service=service, action="publish", stream="orders")
    gone = Grant.objects.create(service=service, action="publish", stream="returns")
    rows = [
        (kept.pk, "publish", "orders-*", False),
        (gone.pk, "publish", "returns", True),
        ("", "subscribe", "stock", False),
    ]

    saved = admin_client.post(url("streams.service", "change", service.pk), grant_form(service, *rows))

    assert saved.status_code == 302
    entries = {entry.action: entry for entry in AuditEntry.objects.all()}
    assert entries["create"].target == "grant shop may subscribe stock/*"
    assert entries["delete"].target == "grant shop may publish returns/*"
    assert (entries["change"].before["stream"], entries["change"].after["stream"]) == ("orders", "orders-*")
    assert AuditEntry.objects.count() == 3


def test_a_grant_with_a_bad_pattern_is_refused(admin_client):
    service = Service.objects.create(name="shop")

    page = admin_client.post(
        url("streams.service", "change", service.pk), grant_form(service, ("", "publish", "a stream", False))
    )

    assert page.status_code == 200
    assert not Grant.objects.exists()


def test_the_history_of_a_definition_comes_from_the_audit_log(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}})
    define("returns")
    admin_client.post(url("streams.stream", "delete", Stream.objects.get(name="returns").pk), {"post": "yes"})
    stream = Stream.objects.get(name="orders")
    form = STREAM | no_rows("event_types") | {"purpose": "To buy"}
    admin_client.post(url("streams.stream", "change", stream.pk), form)

    page = admin_client.get(url("streams.stream", "history", stream.pk), follow=True)

    assert [entry.action for entry in page.context["cl"].result_list] == ["change"]
