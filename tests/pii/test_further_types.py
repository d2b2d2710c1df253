"""An event that names a second type, as which some readers take it, is masked by the marks of that type, too."""

import json

import pytest

from bridges import archive
from bridges.models import ArchivedEvent
from core.models import AuditEntry
from synapse.auth.principal import Principal
from tests.pii.conftest import EVENT, HIDDEN, MASK, Impersonal
from tests.pii.test_dead_letters import BASE, said, work

__all__ = ["said", "work"]

NAMED_BY_EVENT = {**EVENT, "event_type": "order-lost", "event": "order-placed"}
IN_PAYLOAD = {"event_type": "order-lost", "email": "of no contract", "payload": EVENT}
AS_TEXT = {"event_type": "order-lost", "payload": json.dumps(EVENT)}
OF_ONE_TYPE = {"event_type": "order-lost", "email": "of no contract", "payload": {"email": "too"}}


def publish(client, event):
    answer = client.post("/events/orders", json.dumps(event), content_type="application/json")
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (NAMED_BY_EVENT, {**HIDDEN, "event_type": "order-lost", "event": "order-placed"}),
        (IN_PAYLOAD, {**IN_PAYLOAD, "payload": HIDDEN}),
        (AS_TEXT, {**AS_TEXT, "payload": MASK}),
        (OF_ONE_TYPE, OF_ONE_TYPE),
    ],
    ids=["event", "payload", "payload as a text", "one type"],
)
def test_a_message_is_masked_by_every_type_that_it_names(client, redis, orders, impersonal, event, seen):
    publish(client, event)

    answer = client.get("/streams/orders/messages")

    (message,) = answer.json()["messages"]
    assert message["event"] == seen
    assert "anna" not in answer.content.decode().lower()


@pytest.mark.parametrize("event", [NAMED_BY_EVENT, IN_PAYLOAD, AS_TEXT], ids=["event", "payload", "text"])
def test_a_back_test_of_one_type_judges_masked_what_another_type_marks(client, redis, orders, impersonal, event):
    publish(client, event)
    begins = {"properties": {"email": {"pattern": "^anna"}}, "required": ["email", "card"]}
    in_payload = {"properties": {"payload": {"type": "object", **begins}}, "required": ["payload"]}
    as_text = {"properties": {"payload": {"type": "string", "pattern": "anna"}}, "required": ["payload"]}
    question = {"anyOf": [begins, in_payload, as_text]}
    address = "/streams/orders/event-types/order-lost/backtest"

    answer = client.post(address, json.dumps(question), content_type="application/json").json()

    assert (answer["events"], answer["refused"], answer["masked"]) == (1, 1, True)


def test_a_back_test_of_events_without_marks_says_that_nothing_was_masked(client, redis, orders, impersonal):
    publish(client, OF_ONE_TYPE)
    address = "/streams/orders/event-types/order-lost/backtest"

    answer = client.post(address, "{}", content_type="application/json").json()

    assert (answer["events"], answer["masked"], answer["note"]) == (1, False, None)


def test_an_archived_event_is_masked_by_every_type_that_it_names(orders):
    viewer = Principal(kind="person", name="anna", rights=Impersonal())
    row = ArchivedEvent(stream="orders", event_type="order-lost", event=NAMED_BY_EVENT, source="anna@example.org")

    seen = archive.mask_for_reader(row, viewer)

    assert (seen.event["email"], seen.event["card"]["holder"], seen.source) == (MASK, MASK, MASK)


def test_the_audit_log_of_an_edit_that_changes_the_type_masks_by_both_types(client, work):
    work(client, EVENT)
    (letter,) = client.get(BASE).json()["dead_letters"]
    edited = {**EVENT, "event_type": "order-lost", "n": 8}

    answer = client.post(
        f"{BASE}/{letter['id']}/redrive", json.dumps({"event": edited}), content_type="application/json"
    )

    assert answer.status_code == 200
    entry = AuditEntry.objects.get(action="redrive edited")
    assert entry.before["event"] == HIDDEN
    assert entry.after["event"] == {**HIDDEN, "event_type": "order-lost", "n": 8}
