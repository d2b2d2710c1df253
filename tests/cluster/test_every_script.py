"""Every script runs on three nodes, declares the keys that it touches, and keeps to the slot of its stream."""

from synapse.correlation import segments
from synapse.redis import Command, keyspace
from synapse.redis.commands import (
    alerts as alert_commands,
)
from synapse.redis.commands import (
    correlation as correlation_commands,
)
from synapse.redis.commands import (
    dead_letters as dead_letter_commands,
)
from synapse.redis.commands import (
    delivery as delivery_commands,
)
from synapse.redis.commands import (
    groups as group_commands,
)
from synapse.redis.commands import (
    participants,
    places,
    shared_values,
)
from synapse.redis.commands import (
    publishing as publish_commands,
)
from synapse.redis.commands import (
    statistics as statistics_commands,
)
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.alerts import StateChange
from synapse.redis.commands.correlation import IndexState, SegmentRange
from synapse.redis.commands.delivery import Failure
from synapse.redis.commands.refusals import RefusalKind, note_refusals
from synapse.redis.lease import Lease
from tests.bridges.cast import PLACE, STREAM, made_by_us, make_due, publish
from tests.cluster.conftest import check, node_of
from tests.cluster.watching import script_names

LIMITS = stream_commands.Limits(max_length=2, pin_for_ms=0)


def call_scripts_about_events(send):
    index = IndexState(covered_fields="order_id", position="1-1")
    written = (1, SegmentRange(last_id="1-1", entries=1), segments.build_segment([("1-1", [7])]))
    version = send(correlation_commands.write_index(STREAM, index, written=written))
    assert send(correlation_commands.find_in_index(STREAM, "order_id", [7], most=9)).blocks == ["1-1"]
    assert send(correlation_commands.delete_index(STREAM, version))
    keys = [publish_commands.IdempotencyKey(who="shop", key="l", fingerprint="f")] * 2
    again = publish_commands.publish_together_once(STREAM, [[b"customer", b"1"]] * 2, keys, window_ms=60_000)
    assert send(again).outcome == "conflict"
    earlier, new = (
        publish_commands.once_under(STREAM, key, window_ms=60_000) for key in (keys[0], keys[0]._replace(key="m"))
    )
    assert send(publish_commands.append_once_packed_now(STREAM, ["customer", "1"], earlier)).outcome == "conflict"
    assert "-" in send(publish_commands.append_once_packed_now(STREAM, ["customer", "1"], new))
    send(note_refusals(STREAM, [RefusalKind(digest="d", count=1, first_ms=1, last_ms=1, known=b"{}")]))
    assert send(places.place(*PLACE, "1-1")).pending is None


def test_every_script_is_called_and_touches_only_keys_that_it_declares(redis, send, cluster, seen):
    once = {"who": "shop", "key": "k", "fingerprint": "f", "window_ms": 60_000}
    assert send(publish_commands.publish_once(STREAM, [b"customer", b"1"], **once)).outcome == "stored"
    key = publish_commands.IdempotencyKey(who="shop", key="l", fingerprint="f")
    send(publish_commands.publish_together(STREAM, [[b"customer", b"1"]] * 4, key=key, window_ms=60_000))
    send(delivery_commands.join(*PLACE, "me", start="0", mode="any", run="r"))

    # One of five has the key, the others are parked behind it, one after the other.
    (first,) = send(delivery_commands.read(*PLACE, "me", limit=9, order="key", key="customer")).events
    send(delivery_commands.extend(*PLACE, [first.id], lease_ms=60_000))
    send(delivery_commands.recall(*PLACE, "me", lease_ms=60_000, offset=0, limit=9))
    (again,) = send(delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=60_000)).events
    send(delivery_commands.release(*PLACE, "me", [(again.id, again.token)]))
    send(delivery_commands.done(*PLACE, [first.id]))
    make_due(redis)
    (second,) = send(delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=60_000)).events
    failure = Failure(id=second.id, token=second.token, error="no", took_ms=1, delay_ms=0, fatal=True)
    assert send(delivery_commands.fail(*PLACE, [failure])) == ["dead"]
    (letter,) = send(dead_letter_commands.letters(*PLACE, count=9))
    assert send(dead_letter_commands.replay(*PLACE, [(letter.id, b"")])) == ["retry"]
    send(dead_letter_commands.discard(*PLACE, [letter.id]))
    publish(redis, 1)
    send(delivery_commands.read(*PLACE, "me", limit=9, order="key", key="customer"))
    assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9)).moved == 1
    send(delivery_commands.checkpoint(*PLACE))
    first_part = send(group_commands.move(*PLACE, "0"))
    assert send(group_commands.move(*PLACE, "0", cursor=first_part.cursor)).again == 5
    send(stream_commands.trim(STREAM, LIMITS, groups=[b"warehouse"], room=100))
    assert send(participants.readers_of(STREAM)).groups
    send(participants.report(*PLACE, "me", b"I run", keep_ms=1000))
    send(delivery_commands.clean(*PLACE, keep="", idle_ms=10**9))
    send(delivery_commands.leave(*PLACE, "me"))
    asked = statistics_commands.sample_with_groups(STREAM, {PLACE[1]: PLACE[1].encode()}, ["done"], memory=False)
    assert all(send(asked).groups)
    assert send(group_commands.delete(*PLACE, lively_ms=0, force=True)).deleted
    assert send(statistics_commands.sample_stream(STREAM, memory=True)).length
    (between,) = send(statistics_commands.count_between(STREAM, [("0", "+", 9)]))
    assert between.size
    call_scripts_about_events(send)
    change, event = StateChange("r redis", b"", b"{}", b"{}", ("event_type", "alert-changed")), ("event_type", "x")
    assert send(alert_commands.change_states([change], hard_length=9)) == [True]
    assert send(alert_commands.notify("r", b"", b"1 1-1", event, hard_length=9))
    assert not send(alert_commands.notify("r", b"", b"1 1-1", (), hard_length=0))
    send(Lease(keyspace.JANITOR_LEASE, ttl_ms=60_000).hold())
    token = shared_values.take_token("key", "me", count=1, seconds=60)
    send(token)
    for key in ("syn:janitor", token.words[3]):
        with node_of(cluster, key).client() as home:
            assert home.delete(key) == 1

    calls = seen()
    check(calls)
    assert {call.script for call in calls} == script_names()
    assert sum(len(call.touched) for call in calls) > 60


def test_a_script_that_touches_what_it_does_not_declare_is_noticed(redis, send, seen, executor):
    publish(redis, 2, customer="1")
    made_by_us(redis)
    read = delivery_commands.read(*PLACE, "me", limit=9, order="key", key="customer")
    words = ["syn:{orders}:strange:" if word == keyspace.queues(STREAM) else word for word in read.otherwise.words]

    executor.execute([Command(tuple(words))])

    (call,) = seen()
    (strange,) = call.undeclared
    assert strange.startswith(b"syn:{orders}:strange:")
    assert len(call.slots) == 1


def test_streams_lie_on_all_nodes(cluster):
    homes = {node_of(cluster, name).port for name in ("orders", "parcels", "payments", "inference-events", "a", "b")}

    assert len(homes) == len(cluster)


def test_keys_of_two_streams_in_one_script_are_refused(executor):
    crossing = Command(("EVALSHA", "0" * 40, 2, "orders", "parcels"))

    (reply,) = executor.execute([crossing])

    assert reply.code == "CROSSSLOT"
