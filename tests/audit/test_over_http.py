"""`GET /audit`: the audit log, filtered and in pages, for callers with the scope."""

from datetime import UTC, datetime, timedelta

import pytest

from core import audit
from core.models import AuditEntry
from synapse.auth.principal import NOTHING, SYSTEM, Principal
from tests.callers import callers_with

SHOP = Principal(kind="service", name="shop", key="k1a2b3c4", address="192.0.2.9")

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries():
    """Five entries, the oldest first."""
    return [
        audit.record(SYSTEM, "create", "stream orders", after={"name": "orders"}),
        audit.record(SHOP, "publish", "stream orders"),
        audit.record(SHOP, "redrive", "dead letters orders/warehouse", after={"count": 3}),
        audit.record(SYSTEM, "change", "stream Orders-EU", before={"n": 1}, after={"n": 2}),
        audit.record(SYSTEM, "delete", "contract orders.placed"),
    ]


def ask(client, **query):
    answer = client.get("/audit", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def numbers(page, entries):
    ids = [entry.pk for entry in entries]
    return [ids.index(found["id"]) + 1 for found in page["entries"]]


def test_an_entry_has_its_actor_action_target_time_and_address(client, entries):
    found = ask(client, action="redrive")["entries"]

    (entry,) = found
    assert datetime.fromisoformat(entry.pop("at")) == entries[2].at
    assert entry == {
        "id": entries[2].pk,
        "actor": "service:shop",
        "kind": "service",
        "key": "k1a2b3c4",
        "address": "192.0.2.9",
        "action": "redrive",
        "target": "dead letters orders/warehouse",
        "before": None,
        "after": {"count": 3},
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"actor": "synapse"}, [5, 4, 1]),
        ({"actor": "service:shop", "action": "publish"}, [2]),
        ({"target": "stream orders"}, [4, 2, 1]),
        ({"key": "k1a2b3c4"}, [3, 2]),
        ({"actor": "nobody"}, []),
        ({"target": "a\x00b"}, []),
    ],
)
def test_the_audit_log_is_filtered_by_actor_action_target_and_key(client, entries, query, expected):
    assert numbers(ask(client, **query), entries) == expected


def test_the_audit_log_is_filtered_by_time(client, entries):
    AuditEntry.objects.filter(pk=entries[0].pk).update(at=datetime.now(UTC) - timedelta(days=2))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    assert numbers(ask(client, until=yesterday), entries) == [1]
    assert numbers(ask(client, since=yesterday), entries) == [5, 4, 3, 2]


def test_pages_follow_one_another(client, entries):
    seen, page = [], ask(client, count=2)
    while page["next"]:
        seen += numbers(page, entries)
        page = ask(client, count=2, before=page["next"])

    assert [*seen, *numbers(page, entries)] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "query", [{"before": "x"}, {"before": "9" * 30}, {"count": 0}, {"count": 5000}, {"since": "soon"}]
)
def test_a_parameter_that_cannot_be_used_is_refused(client, query):
    answer = client.get("/audit", query)

    assert (answer.status_code, answer.json()["parameter"]) == (400, next(iter(query)))


@pytest.mark.parametrize("query", [{"since": "9" * 18}, {"until": "9" * 18}, {"since": "0"}])
def test_an_odd_time_is_no_failure(client, query):
    assert client.get("/audit", query).status_code in (200, 400)


def test_a_caller_without_the_audit_scope_is_refused(client, entries):
    with callers_with(NOTHING):
        answer = client.get("/audit")

    assert (answer.status_code, answer.json()["missing"]) == (403, "audit:read")
