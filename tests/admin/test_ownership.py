"""The admin shows who looks after a definition, and takes an owner, a runbook and labels in its forms."""

import pytest

from bridges.models import Bridge
from core.models import AuditEntry
from streams.models import EventType, Stream
from tests.admin.pages import no_rows, text_of, url
from tests.admin.test_definitions import STREAM
from tests.definitions import define

OWNED = {"owner": "<b>Shop</b>", "runbook": "https://wiki.example.com/orders?a=1&b=2", "labels": {"items": "<i>x</i>"}}
LINK = 'href="https://wiki.example.com/orders?a=1&amp;b=2"'
FORM = {"owner": OWNED["owner"], "runbook": OWNED["runbook"], "labels-name": "items", "labels-value": "<i>x</i>"}


def test_the_owner_runbook_and_labels_of_a_stream_are_saved_and_recorded(admin_client, redis):
    admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types") | FORM)

    stream = Stream.objects.get()
    assert {name: getattr(stream, name) for name in OWNED} == OWNED
    assert AuditEntry.objects.first().after["labels"] == {"items": "<i>x</i>"}


def test_the_owner_runbook_and_labels_of_an_event_type_are_saved(admin_client, redis):
    stream = define("orders")
    form = {"stream": stream.pk, "name": "sold", "description": "", "contract": "", "example": ""}

    admin_client.post(url("streams.eventtype", "add"), form | FORM)

    assert {name: getattr(EventType.objects.get(), name) for name in OWNED} == OWNED


@pytest.mark.parametrize(
    "wrong",
    [
        {"runbook": "javascript:alert(1)"},
        {"runbook": "https://example.com/" + "a" * 2000},
        {"owner": "two\nlines"},
        {"labels-name": "a b", "labels-value": "c"},
        {"labels-name": ["items", "items"], "labels-value": ["a", "b"]},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_hostile_value_is_refused_in_the_form(admin_client, redis, wrong):
    page = admin_client.post(url("streams.stream", "add"), STREAM | no_rows("event_types") | wrong)

    assert page.status_code == 200
    assert not Stream.objects.exists()


def test_owner_runbook_and_labels_are_shown_escaped_on_each_page_of_their_definition(admin_client, redis):
    stream = define("orders", {"sold": None}, **OWNED)
    EventType.objects.update(**OWNED)
    bridge = Bridge.objects.create(name="b", stream=stream, group="g", sink="console", **OWNED)

    for address in (
        url("streams.stream", "statistics", stream.pk),
        url("streams.stream", "messages", stream.pk),
        url("streams.stream", "groups", stream.pk),
        url("streams.stream", "change", stream.pk),
        url("streams.eventtype", "change", EventType.objects.get().pk),
        url("bridges.bridge", "statistics", bridge.pk),
        url("bridges.bridge", "change", bridge.pk),
    ):
        page = admin_client.get(address, follow=True)
        html = page.content.decode()
        link = (
            'href="https://wiki.example.com/orders?a=1&amp;b=2" rel="noopener noreferrer" target="_blank">Runbook</a>'
        )
        assert link in html, address
        assert "Owner: <b>Shop</b>" in text_of(page), address
        assert "items=<i>x</i>" in text_of(page), address
        assert "<b>Shop</b>" not in html, address


def test_a_runbook_in_the_database_that_is_no_web_address_is_not_a_link(admin_client, redis):
    stream = define("orders", owner="shop", runbook="javascript:alert(1)")

    page = admin_client.get(url("streams.stream", "statistics", stream.pk)).content.decode()

    assert "Owner: shop" in page
    assert "javascript:alert" not in page


def test_a_definition_without_owner_runbook_or_labels_has_no_line_for_them(admin_client, redis):
    stream = define("orders")

    assert "data-ownership" not in admin_client.get(url("streams.stream", "change", stream.pk)).content.decode()
