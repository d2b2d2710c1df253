"""A draft is tested, in the admin, on the events that are there."""

import pytest

from contracts import registry
from core.models import AuditEntry
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from tests.admin.pages import text_of, url
from tests.definitions import define
from tests.tables import for_each

CONTRACT = "contracts.contract"
AT_MOST_9 = '{"properties": {"n": {"type": "integer", "maximum": 9}}}'
RIGHTS = ("contracts.view_contract", "streams.view_stream", "streams.view_eventtype")


@pytest.fixture
def owner(redis, db):
    """A contract with a draft, and twelve events of its type, of which the draft would refuse two."""
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}}})
    holder.refresh()
    found = registry.contract("orders.order-placed")
    registry.draft(found.subject, AT_MOST_9, by=SYSTEM)
    return found


@pytest.fixture
def events(admin_client, owner):
    for n in range(12):
        body = b'{"event_type": "order-placed", "n": %d}' % n
        assert admin_client.post("/events/orders", body, content_type="application/json").status_code == 201


def back_test(client, owner, last="10000"):
    return client.post(url(CONTRACT, "back_test", owner.pk), {"last": last})


def test_the_page_of_a_contract_links_to_the_back_test_of_its_draft(admin_client, owner):
    page = admin_client.get(url(CONTRACT, "change", owner.pk))

    assert url(CONTRACT, "back_test", owner.pk) in page.content.decode()


def test_refused_events_are_counted_by_rule_with_links_to_examples(admin_client, owner, events):
    page = back_test(admin_client, owner)

    text = text_of(page)
    assert "It would refuse 2 of 12 events (16.7%)." in text
    assert "Version 1, which is active, refuses none of them; 2 would be newly refused." in text
    assert "2 “n” must be 9 or less, but is 11. /n /properties/n/maximum line 1" in text
    (result,) = page.context["results"]
    newest = result["reasons"][0]["examples"][0]["id"]
    message = url("streams.stream", "message", Stream.objects.get().pk, newest)
    assert f'href="{message}"' in page.content.decode()
    assert '"n": 11' in text_of(admin_client.get(message))


def test_a_back_test_reads_no_more_events_than_the_person_asked_for(admin_client, owner, events):
    text = text_of(back_test(admin_client, owner, last="1"))

    assert "It would refuse 1 of 1 events" in text


def test_every_event_type_that_uses_the_contract_is_tested(admin_client, owner, events):
    EventType.objects.create(stream=Stream.objects.get(), name="order-changed", contract=owner)
    holder.refresh()

    text = text_of(back_test(admin_client, owner))

    assert "orders / order-placed It would refuse 2" in text
    assert "orders / order-changed No events of this type are there to test it on." in text


@for_each("last", ["0", "-1", "many", "100001", ""])
def test_an_invalid_number_of_events_to_test_is_refused(admin_client, owner, last):
    page = back_test(admin_client, owner, last)

    if last:
        assert "“last” is a whole number from 1 to 100000." in text_of(page)
    else:
        assert page.context["problem"] is None


def test_a_contract_that_no_event_type_uses_cannot_be_tested(admin_client, owner):
    EventType.objects.all().delete()

    assert "No event type points at the contract" in text_of(back_test(admin_client, owner))


def test_a_contract_without_a_draft_has_nothing_to_test(admin_client, owner):
    registry.discard(registry.draft_of(owner), by=SYSTEM)

    assert "There is no draft to test." in text_of(admin_client.get(url(CONTRACT, "back_test", owner.pk)))
    assert "There is no draft to test." in text_of(back_test(admin_client, owner))


def test_the_problem_of_a_back_test_without_redis_is_503(admin_client, owner, no_redis):
    assert back_test(admin_client, owner).context["problem"].status == 503


def test_a_back_test_changes_no_version_and_is_recorded_as_payload_access(admin_client, owner, events):
    before = AuditEntry.objects.count()

    back_test(admin_client, owner)

    (seen,) = AuditEntry.objects.order_by("id")[before:]
    assert (seen.action, seen.target) == ("see payloads", "stream orders")
    assert (seen.after["events"], len(seen.after["ids"]), seen.after["back_test"]) == (12, 2, "order-placed")
    assert registry.active_version(owner).number == 1


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_person_without_one_of_the_rights_cannot_run_a_back_test(client_who_may, owner, missing):
    client = client_who_may(*(right for right in RIGHTS if right != missing))

    assert back_test(client, owner).status_code == 403
