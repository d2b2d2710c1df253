"""Bridges in a catalog file, and the effects of their definitions."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from bridges import auto_disable, snapshot
from bridges.models import Bridge
from core.models import AuditEntry
from streams.models import Stream
from streams.snapshot import holder
from synapse.retention import janitor
from synapse_project import catalog as project_catalog
from tests.catalog.files import PLATFORM, apply, mistakes, planned
from tests.tables import for_each

pytestmark = pytest.mark.django_db

FILE = """
    streams:
      - name: orders
    bridges:
      - name: orders-to-shop
        stream: orders
        group: shop
        event_types: [order-placed, order-paid]
        sink: handler
        config: {handler: tests.bridges.shop.nothing}
        enabled: false
        start: new
        batch_size: 10
        lease_seconds: 120
        handler_timeout_seconds: 60
      - {name: orders-to-console, stream: orders, group: console-2, sink: console}
"""
MINIMAL = "    streams: [{name: orders}]\n    bridges:\n      - {name: one, stream: orders, group: one, sink: console"


@pytest.fixture(autouse=True)
def allowed(handlers):
    """The handlers of the tests are allowed."""


def test_a_file_makes_bridges(db):
    apply(FILE)

    row = Bridge.objects.get(name="orders-to-shop")
    assert (row.stream.name, row.group, row.sink, row.enabled, row.start) == ("orders", "shop", "handler", False, "new")
    assert row.config == {"handler": "tests.bridges.shop.nothing"}
    assert row.event_types == ["order-paid", "order-placed"]
    assert (row.batch_size, row.lease_seconds, row.handler_timeout_seconds) == (10, 120, 60)
    simple = Bridge.objects.get(name="orders-to-console")
    assert (simple.enabled, simple.start, simple.batch_size, simple.event_types) == (True, "beginning", 500, [])
    assert AuditEntry.objects.filter(target="bridge orders-to-shop", action="create").exists()


def test_a_file_that_was_applied_plans_to_no_change_and_so_does_its_export(db):
    apply(FILE)

    assert planned(FILE) == []
    assert planned(FILE.replace("[order-placed, order-paid]", "[order-paid, order-placed]")) == []
    assert planned(project_catalog.export(), delete=True) == []


def test_a_change_is_planned_applied_and_recorded(db):
    apply(FILE)
    changed = FILE.replace("enabled: false", "enabled: true").replace("[order-placed, order-paid]", "[]")

    assert planned(changed) == ["update bridge orders-to-shop"]
    apply(changed)

    row = Bridge.objects.get(name="orders-to-shop")
    assert (row.enabled, row.event_types) == (True, [])
    assert AuditEntry.objects.get(target="bridge orders-to-shop", action="update").after == {
        "enabled": True,
        "event_types": [],
    }


SETTINGS = """
    streams: [{name: orders}]
    bridges:
      - name: all-of-it
        stream: orders
        group: all
        sink: console
        paused: true
        start: 2025-12-24T10:00:00Z
        order: key
        order_key: customer_id
        filters: [{property: total, op: gt, value: 100}]
        concurrency: 4
        rate_limit: 50
        max_attempts: 0
        backoff_base_seconds: 0
        backoff_cap_seconds: 60
        retry_schedule: [5, 5m]
"""


def test_all_settings_of_delivery_are_stored_and_exported(db):
    apply(SETTINGS)

    bridge = snapshot.holder.current()["all-of-it"]
    assert (bridge.paused, bridge.order, bridge.order_key, bridge.start) == (
        True,
        "key",
        "customer_id",
        "2025-12-24T10:00:00Z",
    )
    assert (bridge.concurrency, bridge.rate_limit, bridge.max_attempts, bridge.retry_schedule) == (4, 50, 0, (5, 300))
    assert (bridge.backoff_base_seconds, bridge.backoff_cap_seconds) == (0, 60)
    assert [(one.property, one.op, one.value) for one in bridge.filters] == [("total", "gt", 100)]
    assert planned(SETTINGS) == []
    assert planned(project_catalog.export(), delete=True) == []


@pytest.mark.parametrize("start", ["1766570400000-0", "1766570400000", "new", "beginning", "'2025-12-24'"])
def test_a_group_begins_at_any_place_of_its_stream(db, start):
    apply(MINIMAL + f", start: {start}}}")

    assert Bridge.objects.get().start == start.strip("'")


def test_a_file_that_does_not_say_whether_a_bridge_is_paused_leaves_that_to_its_operator(db):
    apply(FILE)
    Bridge.objects.update(paused=True)

    assert planned(FILE) == []
    assert planned(FILE.replace("start: new", "start: new\n        paused: false")) == ["update bridge orders-to-shop"]


def test_a_bridge_that_disables_itself_is_recorded_and_known_at_once(db):
    apply(FILE.replace("enabled: false", "enabled: true"))
    bridge = snapshot.holder.current()["orders-to-shop"]

    auto_disable.disable_bridge(bridge, "The receiver answered 410 Gone.")
    auto_disable.disable_bridge(bridge, "again")

    assert Bridge.objects.get(name="orders-to-shop").enabled is False
    row = AuditEntry.objects.get(action="disable")
    assert (row.actor, row.target) == ("synapse", "bridge orders-to-shop")
    assert row.after == {"enabled": False, "reason": "The receiver answered 410 Gone."}


def test_bridges_missing_from_the_file_are_deleted_only_on_request(db):
    apply(FILE)
    one = MINIMAL + "}"

    assert planned(one) == ["create bridge one"]
    assert planned(one, delete=True) == [
        "delete bridge orders-to-console",
        "delete bridge orders-to-shop",
        "create bridge one",
    ]
    apply(one, delete=True)
    assert list(Bridge.objects.values_list("name", flat=True)) == ["one"]


def test_a_bridge_goes_with_its_stream_and_the_plan_says_so(db):
    apply(FILE)
    other = "    streams: [{name: parcels}]"

    assert planned(other) == ["create stream parcels"]
    assert planned(other, delete=True) == [
        "delete bridge orders-to-console",
        "delete bridge orders-to-shop",
        "create stream parcels",
        "delete stream orders",
    ]
    apply(other, delete=True)
    assert Bridge.objects.count() == 0


def test_a_stream_that_a_bridge_reads_is_not_deleted_by_the_way(db):
    apply(FILE)

    with pytest.raises(IntegrityError), transaction.atomic():
        Stream.objects.get(name="orders").delete()


@for_each(
    "rest, said",
    [
        (", colour: red}", "line 3: bridges[0].colour: there is no such key; known here:"),
        (", config: {x: 1}}", "line 3: bridges[0].config.x: there is no such setting; none is known here"),
        (", config: [1]}", "line 3: bridges[0].config: must be a mapping, but is a list"),
        (", enabled: perhaps}", "line 3: bridges[0].enabled: must be true or false, but is the text “perhaps”"),
        (", start: middle}", "line 3: bridges[0].start: “middle” is not a start position"),
        (", batch_size: 5000}", "line 3: bridges[0].batch_size: must be between 1 and 1000, but is 5000"),
        (", lease_seconds: 1}", "line 3: bridges[0].lease_seconds: must be between 2 and 3600, but is 1"),
        (", handler_timeout_seconds: 31}", "line 3: bridges[0].handler_timeout_seconds: At most half of the lease."),
        (", event_types: order-placed}", "line 3: bridges[0].event_types: A list of event types"),
        (", event_types: [a, a]}", "line 3: bridges[0].event_types: An event type is there twice."),
        (", event_types: ['']}", "line 3: bridges[0].event_types: “” is no event type: a name has"),
        (", group: two}", "found duplicate key"),
        (", start: 2999-01-01T00:00:00Z}", "line 3: bridges[0].start: 2999-01-01T00:00:00+00:00 is in the future."),
        (", order: random}", "line 3: bridges[0].order: must be none or key or stream, but is “random”"),
        (", order: key}", "line 3: bridges[0].order_key: The order “key” needs one"),
        (", order_key: a}", "line 3: bridges[0].order_key: Only the order “key” has one."),
        (", order: key, order_key: a.b}", "line 3: bridges[0].order_key: The name of one top-level property"),
        (", order: key, order_key: /a}", "line 3: bridges[0].order_key: The name of one top-level property"),
        (", concurrency: 0}", "line 3: bridges[0].concurrency: must be between 1 and 64, but is 0"),
        (", concurrency: 65}", "line 3: bridges[0].concurrency: must be between 1 and 64, but is 65"),
        (", rate_limit: 0}", "line 3: bridges[0].rate_limit: must be between 1 and 9223372036854775807, but is 0"),
        (", rate_limit: fast}", "line 3: bridges[0].rate_limit: must be a whole number"),
        (", max_attempts: -1}", "line 3: bridges[0].max_attempts: must be between 0 and 1000, but is -1"),
        (", max_attempts: 1001}", "line 3: bridges[0].max_attempts: must be between 0 and 1000, but is 1001"),
        (", backoff_cap_seconds: 4}", "line 3: bridges[0].backoff_cap_seconds: Not less than the first wait."),
        (", retry_schedule: [soon]}", "line 3: bridges[0].retry_schedule: A wait is a number of seconds"),
        (", retry_schedule: 5}", "line 3: bridges[0].retry_schedule: A list of waits"),
        (", filters: [{property: a}]}", "line 3: bridges[0].filters: Filter 1: “op” is nothing"),
        (", filters: {a: 1}}", "line 3: bridges[0].filters: A list of filters"),
        (", paused: perhaps}", "line 3: bridges[0].paused: must be true or false, but is the text “perhaps”"),
    ],
)
def test_an_error_is_reported_with_its_line_and_its_place(rest, said):
    found = mistakes(MINIMAL + rest)

    assert any(line.startswith(said) or said == "found duplicate key" for line in found), found


@for_each(
    "bridge, said",
    [
        ("{stream: orders, group: g, sink: console}", "“name” is missing"),
        ("{name: b, group: g, sink: console}", "“stream” is missing"),
        ("{name: b, stream: orders, sink: console}", "“group” is missing"),
        ("{name: b, stream: orders, group: g}", "“sink” is missing"),
        ("{name: b, stream: orders, group: g, sink: paper}", "“paper” cannot be used: known here: handler, console"),
        ("{name: b, stream: oders, group: g, sink: console}", "there is no stream “oders”; did you mean “orders”?"),
        ("{name: b, stream: orders, group: 'a b', sink: console}", "“a b” cannot be used"),
        ("{name: b, stream: orders, group: g, sink: handler}", "bridges[0].config.handler: is missing"),
        (
            "{name: b, stream: orders, group: g, sink: handler, config: {handler: os.system}}",
            "bridges[0].config.handler: “os.system” is not on the list of SYNAPSE_HANDLERS",
        ),
        (
            "{name: b, stream: orders, group: g, sink: console}\n"
            "      - {name: c, stream: orders, group: g, sink: console}",
            "bridges[1].group: the bridge “b” reads orders as this group already",
        ),
    ],
)
def test_a_bridge_that_could_not_work_is_refused(bridge, said):
    (found,) = mistakes(f"    streams: [{{name: orders}}]\n    bridges:\n      - {bridge}\n")

    assert said in found


def test_a_group_that_a_bridge_of_the_database_reads_is_taken(db):
    apply(FILE)

    (found,) = mistakes("    bridges: [{name: thief, stream: orders, group: shop, sink: console}]")

    assert "the bridge “orders-to-shop” reads orders as this group already" in found


def test_a_bridge_that_a_file_renames_keeps_its_row_and_its_group(db):
    apply(FILE)
    before = Bridge.objects.get(name="orders-to-shop")
    renamed = FILE.replace("orders-to-shop", "orders-to-store").replace("batch_size: 10", "batch_size: 20")

    assert planned(renamed, delete=True) == ["update bridge orders-to-shop"]
    apply(renamed, delete=True)

    after = Bridge.objects.get(name="orders-to-store")
    assert (after.pk, after.group, after.batch_size) == (before.pk, "shop", 20)
    assert planned(renamed, delete=True) == []
    entry = AuditEntry.objects.get(target="bridge orders-to-shop", action="update")
    assert (entry.before, entry.after) == (
        {"name": "orders-to-shop", "batch_size": 10},
        {"name": "orders-to-store", "batch_size": 20},
    )


def test_without_delete_a_bridge_that_a_file_renames_is_a_second_reader_of_its_group(db):
    apply(FILE)

    (found,) = mistakes(FILE.replace("orders-to-shop", "orders-to-store"))

    assert "the bridge “orders-to-shop” reads orders as this group already" in found


@pytest.mark.parametrize(
    "groups",
    [
        {"one": "b", "two": "a"},
        {"one": "b", "three": "a"},
        {"two": "a"},
        {"two": "a", "three": "b"},
        {"three": "a", "four": "b"},
        {"three": "c", "one": "a"},
    ],
)
def test_bridges_take_over_each_others_groups(db, groups):
    def written(pairs):
        bridges = [f"{{name: {name}, stream: orders, group: {group}, sink: console}}" for name, group in pairs.items()]
        return f"    streams: [{{name: orders}}]\n    bridges: [{', '.join(bridges)}]"

    apply(written({"one": "a", "two": "b"}))
    text = written(groups)

    apply(text, delete=True)

    assert dict(Bridge.objects.values_list("name", "group")) == groups
    assert planned(text, delete=True) == []


def test_the_platform_archives_inference_and_training_events_without_taking_them_from_anybody(db):
    call_command("catalog", "apply", PLATFORM, verbosity=0)

    shipped = {bridge.name: bridge for bridge in snapshot.holder.current().values()}

    assert set(shipped) == {"archive-inference-events", "archive-training-events"}
    assert {(bridge.stream, bridge.group, bridge.sink, bridge.enabled) for bridge in shipped.values()} == {
        ("inference-events", "synapse-archive", "database", True),
        ("training-events", "synapse-archive", "database", True),
    }


def test_groups_of_bridges_are_durable_also_while_they_are_disabled(db):
    apply(FILE)

    assert janitor.durable_groups() == {"orders": {"shop": "$", "console-2": "0"}}


def test_knowing_the_bridges_asks_no_database_until_the_catalog_changes(db, django_assert_num_queries):
    apply(FILE)
    snapshot.holder.current()

    with django_assert_num_queries(0):
        janitor.durable_groups()
    Bridge.objects.get(name="orders-to-shop").delete()
    holder.refresh()

    assert janitor.durable_groups() == {"orders": {"console-2": "0"}}


TWO_STREAMS = """
    streams: [{name: orders}, {name: copies}]
    bridges:
      - {name: copying, stream: orders, group: copying, sink: stream, config: {stream: copies, rename: {a: b}}}
"""


def test_a_bridge_may_write_to_a_stream_of_the_same_file(db):
    apply(TWO_STREAMS)

    assert Bridge.objects.get().config == {"stream": "copies", "rename": {"a": "b"}}
    assert planned(TWO_STREAMS) == []
    assert planned(project_catalog.export(), delete=True) == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("copie", "there is no stream “copie”; did you mean “copies”?"),
        ("orders", "is the stream that the bridge reads: its events would go in circles"),
    ],
)
def test_a_bridge_that_writes_to_no_other_stream_is_refused_at_its_place(db, target, words):
    found = mistakes(TWO_STREAMS.replace("{stream: copies", "{stream: " + target))

    assert len(found) == 1
    assert "config" in found[0]
    assert words in found[0]


def test_a_webhook_names_its_secret_and_its_url_is_looked_at(db, webhooks):
    file = """
    streams: [{name: orders}]
    bridges:
      - {name: to-shop, stream: orders, group: shop, sink: webhook, config: {url: URL, secret: NAME}}
    """
    good = file.replace("URL", "https://example.com/events").replace("NAME", "shop")
    apply(good)
    assert planned(good) == []

    bad = mistakes(file.replace("URL", "http://169.254.169.254/").replace("NAME", "nobody"))
    assert len(bad) == 2
    assert any("https://" in text for text in bad)
    assert any("There is no secret “nobody”" in text for text in bad)
