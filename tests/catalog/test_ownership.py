"""Streams, event types and bridges have an owner, a runbook and labels: from a catalog file to answers and back."""

import json

import pytest

from bridges.models import Bridge
from bridges.snapshot import holder as bridges
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.catalog.ownership import LABELS, OWNER, RUNBOOK
from synapse_project import catalog as whole
from tests.catalog.files import apply, mistakes, planned
from tests.tables import for_each

pytestmark = pytest.mark.django_db

FILE = """
    streams:
      - name: orders
        owner: Team “Größe” <shop@example.com>
        runbook: https://wiki.example.com:8443/Störung?page=orders#now
        labels: {tier: "1", app.kubernetes.io/name: shop}
        event_types:
          - {name: sold, owner: billing, runbook: "http://wiki/sold", labels: {team: billing}}
    bridges:
      - {name: to-shop, stream: orders, group: shop, sink: console, owner: shop, labels: {team: shop}}
"""
# Values that people and programs try, and that are no owner, runbook or labels.
NO_OWNERS = ["a" * 201, "two\nlines", "NUL \0", "\x1b[31mred", "turned \u202e round"]
NO_RUNBOOKS = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    " https://example.com",
    "data:text/html,<script>alert(1)</script>",
    "//example.com/page",
    "ftp://example.com",
    "https:///page",
    "https://",
    "https:\\\\example.com",
    "https://example.com/a page",
    'https://example.com/"><script>',
    "https://user:password@example.com/",
    "https://example.com:99999/",
    "https://[::1/",
    "https://example.com/\0",
    "https://example.com/" + "a" * 2000,
]
NO_LABELS = [
    {"team": 1},
    {"team": None},
    {"team": ["a"]},
    {"": "a"},
    {"1st": "a"},
    {"a b": "c"},
    {"n" * 64: "a"},
    {"team": "a" * 201},
    {"team": "two\nlines"},
    {"team": "NUL \0"},
    {f"l{number}": "a" for number in range(21)},
    ["team"],
    "team=a",
    None,
]


def test_values_of_a_file_reach_the_snapshot_and_come_back_in_an_export(redis):
    apply(FILE)

    stream, bridge = holder.refresh().streams["orders"], bridges.current()["to-shop"]
    sold = stream.event_types["sold"]
    assert (stream.owner, stream.labels["app.kubernetes.io/name"]) == ("Team “Größe” <shop@example.com>", "shop")
    assert (sold.owner, sold.runbook, sold.labels) == ("billing", "http://wiki/sold", {"team": "billing"})
    assert (bridge.owner, bridge.runbook, bridge.labels) == ("shop", "", {"team": "shop"})
    assert planned(FILE, delete=True) == []
    assert planned(whole.export(), delete=True) == []


def test_a_key_that_a_file_leaves_out_takes_the_value_away(redis):
    apply(FILE)

    apply("""
        streams: [{name: orders, event_types: [{name: sold}]}]
        bridges: [{name: to-shop, stream: orders, group: shop, sink: console}]
    """)

    for row in (Stream.objects.get(), EventType.objects.get(), Bridge.objects.get()):
        assert (row.owner, row.runbook, row.labels) == ("", "", {})


def test_a_plan_names_the_labels_that_change(redis):
    apply(FILE)

    changes = whole.Catalog(FILE.replace('"1"', '"2"').encode(), name="file.yaml").plan()

    assert [(change.kind, change.name, change.after["labels"]["tier"]) for change in changes] == [
        ("stream", "orders", "2")
    ]


@for_each("section", ["stream", "event type", "bridge"])
@for_each(
    "key, value",
    [("owner", "a" * 201), ("runbook", "javascript:alert(1)"), ("labels", {"a b": "c"}), ("labels", {"team": 1})],
)
def test_a_file_with_a_hostile_value_is_refused_with_its_place(redis, section, key, value):
    hostile = {key: value}
    event_type = {"name": "sold", **(hostile if section == "event type" else {})}
    stream = {"name": "orders", "event_types": [event_type], **(hostile if section == "stream" else {})}
    bridge = {"name": "b", "stream": "orders", "group": "g", "sink": "console"}
    bridge |= hostile if section == "bridge" else {}

    found = mistakes(json.dumps({"streams": [stream], "bridges": [bridge]}).encode())

    places = {"stream": "streams[0]", "event type": "streams[0].event_types[0]", "bridge": "bridges[0]"}
    assert len(found) == 1
    assert f"{places[section]}.{key}: " in found[0]
    assert not Stream.objects.exists()


@for_each(
    "field, value",
    [
        *((OWNER, value) for value in NO_OWNERS),
        *((RUNBOOK, value) for value in NO_RUNBOOKS),
        *((LABELS, value) for value in NO_LABELS),
    ],
)
def test_a_hostile_value_is_refused(field, value):
    assert field.refusal_of(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (OWNER, ""),
        (OWNER, "a" * 200),
        (OWNER, "<b>Shop & Söhne</b>"),
        (RUNBOOK, ""),
        (RUNBOOK, "HTTPS://EXAMPLE.COM".lower()),
        (RUNBOOK, "http://10.0.0.1:8080/wiki/Störung?a=b&c=d#e"),
        (RUNBOOK, "https://example.com/@team/page"),
        (RUNBOOK, "https://[::1]/page"),
        (LABELS, {}),
        (LABELS, {f"l{number}": "" for number in range(20)}),
        (LABELS, {"n" * 63: "ä" * 200, "_a.b/c-d": "<script>"}),
    ],
    ids=lambda value: getattr(value, "name", None) or repr(value)[:40],
)
def test_an_unusual_value_that_is_right_is_taken(field, value):
    assert field.refusal_of(value) is None


def test_answers_of_the_api_have_them(ask, redis):
    apply(FILE)
    holder.refresh()
    redis.xgroup_create("orders", "shop", "0", mkstream=True)

    stream = ask("GET", "/streams/orders/info").json["synapse"]
    (group,) = ask("GET", "/streams/orders/groups").json["groups"]

    assert stream["runbook"] == "https://wiki.example.com:8443/Störung?page=orders#now"
    assert stream["event_types"][0]["labels"] == {"team": "billing"}
    assert group["belongs_to"]["owner"] == "shop"
    assert group["belongs_to"]["labels"] == {"team": "shop"}
