"""Leftovers of deleted streams and bridges in Redis: announced before, listed after, and purged on request."""

import io

import pytest
from django.core.management import CommandError, call_command

from bridges.models import Bridge
from core.models import AuditEntry
from streams.models import Stream
from synapse.redis import keyspace
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import Failure
from tests.bridges.cast import GROUP, PLACE, STREAM, made_by_us, publish, read_and_die
from tests.definitions import define

BEHIND = f"syn:{{{STREAM}}}:queue:0123456789abcdef:{GROUP}"


@pytest.fixture
def owed(redis, orders, send):
    """A bridge whose group has an unread event, one in flight, one scheduled for retry, and a dead letter."""
    made_by_us(redis)
    ids = publish(redis, 4, email="anna@example.org")
    read_and_die(redis, "worker", count=3)
    for id_, fatal in ((ids[0], True), (ids[1], False)):
        failure = Failure(id=id_, token="", error="no", took_ms=1, delay_ms=60_000, fatal=fatal)
        send(delivery_commands.fail(*PLACE, [failure]))
    redis.hset(keyspace.stats(STREAM), "published", 4)
    return Bridge.objects.create(name="orders-to-shop", stream=orders, group=GROUP, sink="console")


def leftovers(*words):
    out = io.StringIO()
    call_command("leftovers", *words, stdout=out)
    return out.getvalue().splitlines()


def catalog(tmp_path, text, *words):
    file, out = tmp_path / "catalog.yaml", io.StringIO()
    file.write_text(text)
    call_command("catalog", words[0], file, "--delete", *words[1:], stdout=out)
    return out.getvalue()


def own_keys(redis):
    return sorted(name.decode() for name in redis.scan_iter("syn:{*"))


def test_defined_streams_and_bridges_leave_no_leftovers(owed):
    assert leftovers() == ["nothing is left over"]


def test_the_group_of_a_deleted_bridge_is_reached_until_it_is_destroyed_in_redis(redis, owed):
    owed.delete()
    assert leftovers() == ["nothing is left over"]

    redis.xgroup_destroy(*PLACE)

    (line,) = leftovers()
    assert line == "orders/warehouse: 5 keys, 2 events: no bridge and no consumer group has this name"


def test_keys_of_a_deleted_stream_are_listed_and_purged_except_its_events(redis, owed):
    owed.delete()
    Stream.objects.get(name=STREAM).delete()
    redis.rpush(BEHIND, "1-1")

    assert leftovers() == [
        "orders: 1 key, 4 events in the stream itself, which --purge keeps: the stream is not in the catalog",
        "orders/warehouse: 6 keys, 2 events: the stream is not in the catalog",
    ]
    assert leftovers("--purge") == ["orders: 1 key deleted", "orders/warehouse: 6 keys deleted"]

    assert own_keys(redis) == []
    assert redis.xlen(STREAM) == 4
    entry = AuditEntry.objects.get(action="purge", target="group warehouse of orders")
    assert (entry.actor, entry.before) == ("leftovers", {"keys": 6, "events": 2})


def test_events_of_a_deleted_stream_are_purged_only_by_the_name_of_the_stream(redis, owed):
    owed.delete()
    Stream.objects.get(name=STREAM).delete()
    define("parcels")
    redis.xadd("parcels", {"n": "1"})

    leftovers("--purge", "--events", "orders")

    assert (redis.exists(STREAM), redis.exists("parcels")) == (0, 1)
    with pytest.raises(CommandError, match="names of streams"):
        leftovers("--purge", "--events")


def test_only_the_named_leftovers_are_purged(redis, owed):
    owed.delete()
    Stream.objects.get(name=STREAM).delete()
    before = own_keys(redis)

    assert leftovers("--purge", "orders/warehouse") == ["orders/warehouse: 5 keys deleted"]
    assert own_keys(redis) == [keyspace.stats(STREAM)]
    assert len(before) == 6
    with pytest.raises(CommandError, match="Nothing is left over of parcels"):
        leftovers("--purge", "parcels")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        (keyspace.waiting("a.b", "g:h"), ("a.b", "g:h")),
        (keyspace.queues("orders") + "stream:warehouse", ("orders", "warehouse")),
        (keyspace.dead_letters("due", "stats"), ("due", "stats")),
        (keyspace.pins("orders"), ("orders", "")),
        # They expire by themselves, or are no stream's.
        (keyspace.idempotency("orders", "0123"), None),
        (keyspace.reports("orders", "warehouse"), None),
        (keyspace.bucket("key", "0123"), None),
        ("orders", None),
    ],
)
def test_each_of_our_keys_names_its_owner(name, owner):
    assert keyspace.owner_of(name) == owner


def test_a_plan_says_what_deleted_bridges_and_streams_leave_and_apply_asks(owed, tmp_path, monkeypatch):
    of_bridge = "The group “warehouse” of “orders” has a backlog: 1 unread, 1 in flight, 1 scheduled for retry, 1 dead"
    assert of_bridge in catalog(tmp_path, "bridges: []", "plan")
    told = catalog(tmp_path, "streams: []", "plan")
    assert told.count(of_bridge) == 1
    assert "The stream “orders” holds 4 events." in told

    with pytest.raises(CommandError, match="Add --yes") as refused:
        catalog(tmp_path, "bridges: []", "apply")
    assert of_bridge in str(refused.value)
    assert Bridge.objects.exists()

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "")
    with pytest.raises(CommandError, match="Nothing was changed"):
        catalog(tmp_path, "bridges: []", "apply")
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert "deleted: 1 bridge" in catalog(tmp_path, "bridges: []", "apply")


def test_a_bridge_without_a_backlog_is_deleted_without_a_question(redis, orders, tmp_path):
    Bridge.objects.create(name="orders-to-shop", stream=orders, group=GROUP, sink="console")

    assert catalog(tmp_path, "bridges: []", "apply") == "deleted: 1 bridge\n"


def test_a_rename_in_a_file_leaves_nothing_and_asks_nothing(owed, tmp_path):
    text = "bridges: [{name: to-shop, stream: orders, group: warehouse, sink: console}]"

    assert catalog(tmp_path, text, "apply") == "updated: 1 bridge\n"


def test_while_redis_is_away_apply_asks_as_well(orders, no_redis, tmp_path):
    Bridge.objects.create(name="orders-to-shop", stream=orders, group=GROUP, sink="console")

    with pytest.raises(CommandError, match="is not known"):
        catalog(tmp_path, "bridges: []", "apply")
    assert "deleted: 1 bridge" in catalog(tmp_path, "bridges: []", "apply", "--yes")


def test_the_admin_says_what_stays_before_it_deletes(admin_client, owed):
    page = admin_client.get(f"/admin/bridges/bridge/{owed.pk}/delete/").content.decode()
    assert "has a backlog: 1 unread, 1 in flight, 1 scheduled for retry, 1 dead letter." in page
    assert "manage.py leftovers" in page
    owed.delete()

    page = admin_client.get(f"/admin/streams/stream/{owed.stream.pk}/delete/").content.decode()
    assert "The stream “orders” holds 4 events." in page


def test_the_admin_names_the_leftovers_of_each_before_it_deletes_several(admin_client, owed, redis, orders):
    other = Bridge.objects.create(name="orders-to-log", stream=orders, group="log", sink="console")
    chosen = {"action": "delete_selected", "_selected_action": [owed.pk, other.pk]}

    page = admin_client.post("/admin/bridges/bridge/", chosen).content.decode()

    assert page.count("has a backlog: 1 unread, 1 in flight, 1 scheduled for retry, 1 dead letter.") == 1
    assert page.count("manage.py leftovers") == 1
    assert Bridge.objects.count() == 2
    chosen["_selected_action"] = [orders.pk]
    page = admin_client.post("/admin/streams/stream/", chosen).content.decode()
    assert "The stream “orders” holds 4 events." not in page  # it is protected by its bridges
    Bridge.objects.all().delete()
    page = admin_client.post("/admin/streams/stream/", chosen).content.decode()
    assert "The stream “orders” holds 4 events." in page


def test_the_admin_names_no_leftovers_of_selected_streams_without_events(admin_client, redis, orders):
    chosen = {"action": "delete_selected", "_selected_action": [orders.pk]}

    assert "manage.py leftovers" not in admin_client.post("/admin/streams/stream/", chosen).content.decode()


def test_the_admin_names_no_leftovers_of_a_stream_without_events(admin_client, redis, orders):
    page = admin_client.get(f"/admin/streams/stream/{orders.pk}/delete/").content.decode()

    assert "manage.py leftovers" not in page
