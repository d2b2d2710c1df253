"""Only people who may see PII decide where events with PII go."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from bridges.models import Bridge
from core.models import Role
from tests.admin.pages import url
from tests.definitions import define
from tests.tables import for_each

BRIDGE = "bridges.bridge"
RIGHT = "streams.view_personal"


@pytest.fixture
def operator(db, settings):
    settings.WEBHOOK_ALLOW = ["*"]
    user = User.objects.create_user("anna", is_staff=True)
    user.groups.add(Role.objects.get(name="operator"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def insider(operator):
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_personal"))
    return operator


@pytest.fixture
def parcels(db):
    """A stream without marks."""
    return define("parcels", {"parcel-sent": {"properties": {"n": {"type": "integer"}}}})


@pytest.fixture
def bridge(orders):
    return Bridge.objects.create(name="b", stream=orders, group="b", sink="console")


def form(stream, **more):
    values = {
        "name": "b", "enabled": "on", "stream": stream.pk, "group": "b", "event_types": "",
        "sink": "console", "start": "new", "order": "none", "order_key": "", "concurrency": 1,
        "delivery_log": "failures",
        "tracing": "link",
        "batch_size": 100, "lease_seconds": 60, "handler_timeout_seconds": 30, "max_attempts": 10,
        "backoff_base_seconds": 1, "backoff_cap_seconds": 60,
    }  # fmt: skip
    return {name: value for name, value in {**values, **more}.items() if value is not None}


def errors_of(answer):
    return {} if answer.status_code == 302 else {**answer.context["adminform"].form.errors}


ROUTING = [
    ({"sink": "stream", "config-stream-stream": "parcels"}, {"sink", "config"}),
    ({"sink": "database", "config-database-keep_days": "7"}, {"sink", "config"}),
    ({"event_types": "order-placed"}, {"event_types"}),
    (
        {"filters-property": "email", "filters-op": "eq", "filters-value": "anna@example.org"},
        {"filters"},
    ),
    ({"order": "key", "order_key": "email"}, {"order_key"}),
]


@for_each("more, columns", ROUTING)
def test_an_operator_without_the_right_to_pii_changes_no_routing(
    operator, redis, orders, parcels, bridge, more, columns
):
    answer = operator.post(url(BRIDGE, "change", bridge.pk), form(orders, **more))

    errors = errors_of(answer)
    assert set(errors) >= columns
    assert all(RIGHT in " ".join(errors[column]) for column in columns)
    bridge.refresh_from_db()
    assert (bridge.sink, bridge.config, bridge.event_types, bridge.filters, bridge.order_key) == (
        "console", {}, [], [], "",
    )  # fmt: skip


@for_each("sink", ["console", "database", "webhook", "stream", "pull", "handler"])
def test_an_operator_without_the_right_to_pii_makes_no_bridge_from_a_stream_that_holds_it(
    operator, redis, orders, parcels, sink
):
    answer = operator.post(url(BRIDGE, "add"), form(orders, sink=sink))

    assert RIGHT in " ".join(errors_of(answer)["stream"])
    assert "“orders”" in " ".join(errors_of(answer)["stream"])
    assert Bridge.objects.count() == 0


def test_a_bridge_is_not_moved_to_or_from_a_stream_that_holds_pii(operator, redis, orders, parcels, bridge):
    elsewhere = Bridge.objects.create(name="c", stream=parcels, group="c", sink="console")

    away = operator.post(url(BRIDGE, "change", bridge.pk), form(parcels))
    here = operator.post(url(BRIDGE, "change", elsewhere.pk), form(orders, name="c", group="c"))

    assert RIGHT in " ".join(errors_of(away)["stream"])
    assert RIGHT in " ".join(errors_of(here)["stream"])


def test_marks_of_an_event_type_that_is_no_more_still_count(insider, operator, redis, orders, bridge):
    orders.event_types.all().delete()
    User.objects.get().user_permissions.clear()

    filters = {"filters-property": "n", "filters-op": "exists", "filters-value": ""}
    answer = operator.post(url(BRIDGE, "change", bridge.pk), form(orders, **filters))

    assert RIGHT in " ".join(errors_of(answer)["filters"])


@pytest.mark.parametrize(
    ("more", "column", "value"),
    [
        ({"paused": "on"}, "paused", True),
        ({"enabled": None}, "enabled", False),
        ({"concurrency": 3}, "concurrency", 3),
        ({"max_attempts": 4}, "max_attempts", 4),
        ({"rate_limit": 5}, "rate_limit", 5),
        ({"name": "d"}, "name", "d"),
    ],
)
def test_an_operator_pauses_and_tunes_a_bridge_of_events_with_pii(operator, redis, orders, bridge, more, column, value):
    answer = operator.post(url(BRIDGE, "change", bridge.pk), form(orders, **more))

    assert errors_of(answer) == {}
    bridge.refresh_from_db()
    assert getattr(bridge, column) == value


def test_an_operator_does_as_before_where_nothing_is_marked(operator, redis, parcels):
    made = operator.post(url(BRIDGE, "add"), form(parcels))
    filters = {"filters-property": "n", "filters-op": "gt", "filters-value": "1"}
    changed = operator.post(url(BRIDGE, "change", Bridge.objects.get().pk), form(parcels, **filters))

    assert (errors_of(made), errors_of(changed)) == ({}, {})
    assert Bridge.objects.get().filters == [{"property": "n", "op": "gt", "value": 1}]


def test_people_who_may_see_pii_say_where_it_goes(insider, redis, orders, parcels):
    made = insider.post(url(BRIDGE, "add"), form(orders))
    to_stream = form(orders, sink="stream", **{"config-stream-stream": "parcels"})
    changed = insider.post(url(BRIDGE, "change", Bridge.objects.get().pk), to_stream)

    assert (errors_of(made), errors_of(changed)) == ({}, {})
    assert Bridge.objects.get().sink == "stream"


def test_no_list_of_bridges_edits_them_and_no_action_changes_them(operator, redis, orders, bridge):
    page = operator.get(url(BRIDGE))

    assert page.context["cl"].list_editable == ()
    assert {name for name, _ in page.context["action_form"].fields["action"].choices} <= {"", "delete_selected"}
