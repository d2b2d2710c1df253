"""The settings of a group's row apply to pulled groups: event types, order, enabled or not."""

from synapse.redis import keyspace
from tests.pull.cast import GROUP, PLACE, STREAM


def test_events_of_other_types_are_acknowledged_and_not_given(puller, group, redis):
    group(event_types=["order-lost"])
    worker = puller()
    for n in range(250):
        redis.xadd(STREAM, {"event_type": "order-placed", "n": n})
    lost = worker.publish(1, "order-lost")

    assert worker.ids(count=3) == [lost]
    assert redis.hget(keyspace.counters(*PLACE), "filtered") == b"250"


def test_events_that_do_not_meet_the_filters_are_not_given(puller, group):
    group(filters=[{"property": "n", "op": "gt", "value": 1}])
    worker = puller()
    ids = [worker.publish(n) for n in range(4)]

    assert worker.ids() == ids[2:]


def test_events_of_a_key_come_one_after_the_other_across_consumers(puller, group):
    group(order="key", order_key="customer")
    first, second = puller("a"), puller("b")
    a1, a2, b1, a3 = (first.publish(n, customer=name) for n, name in enumerate("aaba"))

    assert first.ids() == [a1, b1]
    assert second.ids() == []
    first.ack(a1)
    assert second.ids() == [a2]
    assert first.ids() == []
    second.tell("nack", a2, delay_ms=60_000)
    assert first.ids() == []
    second.tell("nack", a2)
    assert second.tell("nack", a2, dead=True)["not_held"] == [a2]
    first.ack(b1)
    assert first.ids() == []
    second.tell("extend", a2)
    assert a3 not in first.ids()


def test_a_dead_letter_lets_the_next_of_its_key_go(puller, group):
    group(order="stream")
    worker = puller()
    first, second = worker.publish(1), worker.publish(2)
    assert worker.ids() == [first]

    worker.tell("extend", first, lease_ms=5000)
    worker.tell("nack", first, dead=True)

    assert worker.ids() == [second]


def test_a_paused_group_gives_no_events_and_still_accepts_acknowledgements(puller, group):
    row = group()
    worker = puller()
    id_ = worker.publish(1)
    assert worker.ids() == [id_]
    row.paused = True
    row.save()
    worker.publish(2)

    assert worker.ids() == []
    assert worker.ack(id_) == 1


def test_a_disabled_group_refuses_reads_and_acknowledges_nothing(puller, group):
    group(enabled=False)
    worker = puller()

    answer = worker.post("read", consumer_group=GROUP, consumer_name="x", block_ms=0)

    assert (answer.status, answer.json["type"]) == (409, "urn:synapse:problem:group-disabled")
    assert worker.ack("1-1") == 0


def test_a_group_that_a_bridge_reads_as_cannot_be_pulled(puller, group):
    group(sink="console")
    worker = puller()

    for verb, members in (
        ("read", {"consumer_name": "x"}),
        *((verb, {"entry_ids": ["1-1"]}) for verb in ("ack", "nack", "extend")),
    ):
        answer = worker.post(verb, consumer_group=GROUP, **members)
        assert (answer.status, answer.json["type"]) == (409, "urn:synapse:problem:group-taken"), verb


def test_a_group_that_begins_at_the_end_gets_no_earlier_events(puller, group):
    group(start="new")
    worker = puller()
    worker.publish(1)
    assert worker.ids() == []

    later = worker.publish(2)

    assert worker.ids() == [later]
