"""The tab of a stream's refused events, and the pages that lead to it and on from it."""

import json

import pytest
from django.contrib.auth.models import Permission, User

from core.models import AuditEntry
from streams import connections
from streams.models import Service
from tests.admin.pages import text_of, url
from tests.definitions import define

STREAM = "streams.stream"
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}}
ALL = ("streams.view_stream", "streams.view_payload", "streams.view_service", "contracts.view_contract")


@pytest.fixture
def orders(redis, db):
    return define("orders", {"order-placed": NUMBER}, unknown_event_types="reject")


def send(client, event, **headers):
    text = event if isinstance(event, str) else json.dumps(event)
    answer = client.post("/events/orders", text, content_type="application/json", headers=headers)
    connections.executor().run(connections.counters.refusals.flush())
    return answer.status_code


def tab(client, stream):
    return client.get(url(STREAM, "refusals", stream.pk))


def test_a_row_has_its_rule_publisher_and_sample_with_links_to_contract_back_test_and_service(
    client, client_who_may, orders, key_of
):
    key = key_of("shop", publishes=["orders"])
    send(client, {"event_type": "order-placed", "n": "<b>"}, authorization=f"Bearer {key}")
    person = client_who_may(*ALL, "streams.view_eventtype")

    page = tab(person, orders)

    text, html = text_of(page), page.content.decode()
    contract = orders.event_types.get().contract
    assert "The event breaks its contract 422 contract-violated /properties/n/type" in text
    assert "service:shop" in text
    assert "&lt;b&gt;" in html
    back_test = f"{url('contracts.contract', 'back_test', contract.pk)}?version=1"
    for link in (
        url("contracts.contract", "version", contract.pk, 1),
        back_test,
        url("streams.service", "change", Service.objects.get(name="shop").pk),
    ):
        assert f'href="{link}"' in html
    assert [entry.after["events"] for entry in AuditEntry.objects.filter(action="see payloads")] == [1]
    assert "It would refuse none" not in text_of(person.get(back_test))


def test_a_person_without_the_permission_for_a_page_gets_no_link_to_it(client, client_who_may, orders, key_of):
    key = key_of("shop", publishes=["orders"])
    send(client, {"event_type": "order-placed", "n": "x"}, authorization=f"Bearer {key}")

    html = tab(client_who_may("streams.view_stream", "streams.view_payload"), orders).content.decode()

    assert "service:shop" in html
    assert "orders.order-placed, version 1" in html
    for model, page in (("contracts.contract", "version"), ("contracts.contract", "back_test")):
        assert url(model, page, 1, *([1] if page == "version" else [])) not in html
    assert url("streams.service", "change", Service.objects.get(name="shop").pk) not in html


def test_a_person_who_may_not_see_payloads_sees_counts_by_reason(client, client_who_may, orders):
    for event in ({"event_type": "order-placed", "n": "x"}, {"event_type": "order-placed", "n": "y"}, "{"):
        send(client, event)
    person = client_who_may("streams.view_stream")

    page = tab(person, orders)

    assert "anonymous" not in text_of(page)
    assert "/properties/n" not in text_of(page)
    assert [(row["reason"], row["count"]) for row in page.context["rows"]] == [
        ("bad-event", 1),
        ("contract-violated", 2),
    ]
    assert AuditEntry.objects.filter(action="see payloads").count() == 0
    User.objects.get(username="someone").user_permissions.add(Permission.objects.get(codename="view_payload"))
    assert "/properties/n/type" in text_of(tab(person, orders))


def test_the_page_of_a_stream_without_refused_events_reports_that_there_are_none(admin_client, orders):
    assert "No event was refused in the last 30 days." in text_of(tab(admin_client, orders))


def test_a_version_of_a_contract_is_back_tested_on_stored_events(admin_client, orders, any_schema_may_follow):
    for n in range(12):
        assert send(admin_client, {"event_type": "order-placed", "n": n}) == 201
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer", "maximum": 9}}}})
    contract = orders.event_types.get().contract
    page = url("contracts.contract", "back_test", contract.pk)

    old, new = (admin_client.post(f"{page}?version={number}", {"last": "100"}) for number in (1, 2))

    assert "It would refuse none of 12 events" in text_of(old)
    assert "It would refuse 2 of 12 events" in text_of(new)
    assert "as if version 2 had been active" in text_of(new)
    assert admin_client.get(f"{page}?version=7")["location"] == url("contracts.contract")
    assert "There is no draft to test." in text_of(admin_client.get(page))
