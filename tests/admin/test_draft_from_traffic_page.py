"""A contract is proposed, in the admin, from the events of a type, and saved as a draft when the person says so."""

import pytest

from contracts import registry
from contracts.models import Contract
from core.models import AuditEntry
from streams.models import EventType
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from tests.admin.pages import messages_of, text_of, url
from tests.definitions import define

EVENT_TYPE = "streams.eventtype"
HOSTILE = "</pre><script>alert(1)</script>"


@pytest.fixture
def stream(redis, db):
    """A stream with a type that has a contract, and one that has none."""
    found = define("orders", {"order-placed": {"required": ["event_type"]}, "order-sent": None})
    holder.refresh()
    return found


@pytest.fixture
def placed(stream):
    return EventType.objects.get(name="order-placed")


@pytest.fixture
def sent(stream):
    return EventType.objects.get(name="order-sent")


@pytest.fixture
def events(admin_client, stream):
    for name in ("order-placed", "order-sent"):
        event = {"event_type": name, "n": 1, HOSTILE: True}
        assert admin_client.post("/events/orders", event, content_type="application/json").status_code == 201


def proposed(client, event_type, **form):
    return client.post(url(EVENT_TYPE, "draft", event_type.pk), {"last": "10000", **form})


def save(client, event_type, text, **form):
    return client.post(url(EVENT_TYPE, "draft", event_type.pk), {"save": "", "schema": text, **form}, follow=True)


def test_a_proposal_is_shown_with_its_difference_from_the_active_version(admin_client, placed, events):
    page = proposed(admin_client, placed)

    text = text_of(page)
    assert "Proposal for orders.order-placed 1 event among 2 entries looked at" in text
    assert "What it changes of version 1" in text
    assert {"n", "event_type"} <= set(page.context["proposal"].document["required"])
    assert HOSTILE not in page.content.decode()
    assert registry.draft_of(registry.contract("orders.order-placed")) is None


def test_a_proposal_is_saved_as_the_draft_and_recorded(admin_client, placed, events):
    text = proposed(admin_client, placed).context["proposal"].text

    page = save(admin_client, placed, text.replace("\n", "\r\n"))

    assert messages_of(page) == ["Saved as the draft of “orders.order-placed”. It takes effect when it is activated."]
    assert registry.draft_of(registry.contract("orders.order-placed")).text == text
    entry = AuditEntry.objects.first()
    assert (entry.actor, entry.action) == ("person:admin", "draft")


def test_a_type_without_a_contract_gets_one_and_a_message_that_the_type_does_not_use_the_contract_yet(
    admin_client, sent, events
):
    text = proposed(admin_client, sent).context["proposal"].text

    page = save(admin_client, sent, text)

    assert Contract.objects.get(subject="orders.order-sent").versions.get().draft_text == text
    assert "points at no contract yet" in messages_of(page)[1]


def test_an_existing_draft_is_replaced_only_when_the_person_ticks_the_box(admin_client, placed, events):
    registry.draft("orders.order-placed", '{"title": "mine"}', by=SYSTEM)
    asked = proposed(admin_client, placed)
    text = asked.context["proposal"].text

    refused = save(admin_client, placed, text)
    assert "Replace the draft that synapse wrote" in text_of(asked)
    assert "has a draft of another text" in text_of(refused)
    assert registry.draft_of(placed.contract).text == '{"title": "mine"}'

    save(admin_client, placed, text, replace="on")
    assert registry.draft_of(placed.contract).text == text


@pytest.mark.parametrize("text", ["{oops", "[]", '{"type": "nothing"}', '{"$ref": "http://127.0.0.1/"}'])
def test_an_invalid_schema_is_not_saved_as_a_draft(admin_client, placed, text):
    page = save(admin_client, placed, text)

    assert page.context["problem"].status == 422
    assert registry.draft_of(placed.contract) is None


def test_an_event_type_without_events_has_no_proposal(admin_client, placed):
    page = proposed(admin_client, placed)

    assert page.context["proposal"] is None
    assert page.context["problem"].status == 404


def test_the_problem_of_a_proposal_without_redis_is_503(admin_client, placed, no_redis):
    assert proposed(admin_client, placed).context["problem"].status == 503


def test_an_invalid_number_of_events_to_read_is_refused(admin_client, placed):
    assert "“last” is a whole number from 1 to 100000." in text_of(proposed(admin_client, placed, last="0"))


def test_a_person_who_may_not_change_contracts_cannot_save_a_proposal(client_who_may, placed, events):
    client = client_who_may("streams.view_eventtype", "streams.view_stream", "streams.view_payload")

    page = proposed(client, placed)

    assert "Saving it takes the right to change contracts." in text_of(page)
    assert save(client, placed, page.context["proposal"].text).status_code == 403
    assert registry.draft_of(placed.contract) is None


def test_a_person_who_may_not_see_payloads_sees_no_proposed_schema(client_who_may, placed, events):
    client = client_who_may("streams.view_eventtype", "contracts.change_contract")

    assert proposed(client, placed).status_code == 403
