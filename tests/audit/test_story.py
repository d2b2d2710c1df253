"""The audit log told in sentences."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import audit
from core.audit_query import sentence
from core.models import AuditEntry
from streams.models import EventType, Stream
from synapse.auth.principal import SYSTEM, Principal
from tests.admin.conftest import client_who_may
from tests.admin.pages import text_of, timeless, url

__all__ = ["client_who_may"]

ANNA = Principal(kind="person", name="anna", address="192.0.2.7")
SHOP = Principal(kind="service", name="shop", key="k1a2b3c4")
STORY = "/admin/core/auditentry/story/"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("action", "target", "before", "after", "expected"),
    [
        ("create", "stream orders", None, {"name": "orders"}, "created stream orders"),
        ("delete", "stream orders", {"name": "orders"}, None, "deleted stream orders"),
        ("change", "stream orders", {"n": 5, "m": 1}, {"n": 9, "m": 1}, "changed stream orders: n from 5 to 9"),
        ("change", "stream s", {"age": None}, {"age": "1 day"}, "changed stream s: age from nothing to 1 day"),
        ("change", "bridge b", {"c": {}}, {"c": {"url": "x" * 99}}, "changed bridge b: c from {} to another value"),
        (
            "change", "s", dict.fromkeys("abcdef", 1), dict.fromkeys("abcdef", 2),
            "changed s: a from 1 to 2, b from 1 to 2, c from 1 to 2, d from 1 to 2, and 2 more",
        ),
        ("activate", "contract c", {"version": 1}, {"version": 2}, "activated version 2 of contract c"),
        ("redrive", "dead letters o/w", None, {"count": 12, "ids": []}, "redrove 12 of dead letters o/w"),
        ("discard", "dead letters o", None, {"count": 1, "reason": "x"}, "discarded 1 of dead letters o, because: x"),
        ("redrive in part", "dead letters o/w", None, {"done": 1}, "redrove in part dead letters o/w"),
        ("see payloads", "stream orders", None, {"events": 1}, "saw the payload of an event of stream orders"),
        (
            "see payloads", "dead letters o/w", None, {"events": 25, "exported": True, "personal": True},
            "exported the payloads of 25 events of dead letters o/w, with the PII in them",
        ),
        (
            "see payloads", "stream orders", None, {"watching": True, "personal": True},
            "watched the events of stream orders, with the PII in them",
        ),
        (
            "see payloads", "stream orders", None, {"events": 900, "ids": [], "back_test": "order-placed"},
            "tested a schema on the payloads of 900 events of stream orders",
        ),
        (
            "see payloads", "stream orders", None, {"events": 1, "pulled_as": "warehouse"},
            "took the payload of an event of stream orders",
        ),
        ("log in", "user anna", None, None, "logged in"),
        ("fail to log in", "user anna", None, None, "failed to log in as user anna"),
        ("fail to log in", "user anna", None, {"failures": 5}, "failed 5 times to log in as user anna"),
        (
            "fail to log in", "users that are not there", None, {"failures": 2, "names": ["a", "x" * 150]},
            f"failed 2 times to log in as users that are not there, such as “a”, “{'x' * 60}…”",
        ),
        ("lock out", "user anna", None, {"minutes": 15}, "was locked out as user anna for 15 minutes"),
        ("pause", "bridge b", {"paused": False}, {"paused": True}, "paused bridge b: paused from False to True"),
        ("discard draft", "contract c", {"schema": "{}"}, None, "discarded the draft of contract c"),
        # What an older release, or somebody else, wrote.
        ("", "", None, None, "ed "),
        ("change", "s", ["odd"], "odd", "changed s"),
    ],
)  # fmt: skip
def test_an_entry_is_a_sentence(action, target, before, after, expected):
    assert sentence(action, target, before, after) == expected


def test_the_page_tells_the_last_hour(admin_client):
    audit.record(SYSTEM, "create", "stream parcels")
    AuditEntry.objects.update(at=timezone.now() - timedelta(hours=2))
    audit.record(ANNA, "change", "stream orders", before={"n": 5}, after={"n": 9})
    audit.record(SHOP, "redrive", "dead letters orders/warehouse", after={"count": 12})

    text = timeless(text_of(admin_client.get(STORY)))

    assert "person:anna changed stream orders: n from 5 to 9." in text
    assert "from 192.0.2.7" in text
    assert "service:shop redrove 12 of dead letters orders/warehouse." in text
    assert "with the key k1a2b3c4" in text
    assert "created stream parcels" not in text
    assert "created stream parcels" in text_of(admin_client.get(STORY, {"span": "all"}))


def test_the_page_is_filtered_and_paged(admin_client):
    for number in range(120):
        audit.record(ANNA, "change", f"stream s{number}")
    audit.record(SHOP, "create", "stream t")

    of_shop = text_of(admin_client.get(STORY, {"actor": "service:shop"}))
    first = admin_client.get(STORY, {"action": "change", "target": "stream s"})
    second = admin_client.get(f"{STORY}?{first.context['more']}")

    assert "created stream t" in of_shop
    assert "stream s1" not in of_shop
    assert (len(first.context["rows"]), len(second.context["rows"])) == (30, 30)


@pytest.mark.parametrize("query", [{"span": "x"}, {"before": "x"}, {"before": "9" * 40}, {"actor": "\x00"}])
def test_odd_queries_are_no_failure(admin_client, query):
    assert admin_client.get(STORY, query).status_code == 200


def test_hostile_names_are_shown_harmlessly(admin_client):
    audit.record(SYSTEM, "create", "stream <script>\x1b[2J\u202e", after={"a": 1})

    page = admin_client.get(STORY).content.decode()

    assert "stream &lt;script&gt;\\u001b[2J\\u202e" in page


def test_a_person_who_may_not_view_the_audit_log_cannot_see_the_page(client_who_may):
    assert client_who_may("streams.view_stream").get(STORY).status_code == 403


@pytest.mark.parametrize("page", ["add", "change", "delete"])
def test_not_even_a_superuser_can_write_to_the_audit_log(admin_client, page):
    entry = audit.record(SYSTEM, "create", "stream orders")
    address = url("core.auditentry", page, *([] if page == "add" else [entry.pk]))

    answer = admin_client.post(address, {"actor": "nobody", "post": "yes"})

    assert answer.status_code == 403
    assert AuditEntry.objects.get().actor == "synapse"


def test_not_even_a_superuser_deletes_many(admin_client):
    entry = audit.record(SYSTEM, "create", "stream orders")

    admin_client.post(
        url("core.auditentry"), {"action": "delete_selected", "_selected_action": entry.pk, "post": "yes"}
    )

    assert AuditEntry.objects.count() == 1


def test_deleting_a_stream_records_each_event_type_that_goes_with_it(admin_client, redis):
    stream = Stream.objects.create(name="orders")
    for name in ("order-placed", "order-lost"):
        EventType.objects.create(stream=stream, name=name, description="what it is")

    admin_client.post(url("streams.stream", "delete", stream.pk), {"post": "yes"})

    rows = list(AuditEntry.objects.filter(action="delete").order_by("id"))
    assert [row.target for row in rows] == [
        "event type orders/order-lost",
        "event type orders/order-placed",
        "stream orders",
    ]
    assert rows[0].before["description"] == "what it is"
