"""Ordered bridges deliver the events of a key one after the other, through failures and crashes."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams import connections
from synapse.delivery.retry import Policy
from synapse.errors.delivery import SinkAway, SinkDisabled, SinkError
from synapse.runtime.backoff import Backoff
from tests.bridges.cast import PLACE, STREAM, KeepingSink, make_due, name_of_the_dead, parked, places, publish

BY_CUSTOMER = {"order": "key", "order_key": "customer"}
AT_ONCE = Policy(most_attempts=3, backoff=Backoff(base=0, cap=0))


def order(redis, keys):
    return [redis.xadd(STREAM, {"event_type": "order-placed", "customer": key}).decode() for key in keys]


def by_key(sink):
    found = {}
    for delivery in sink.got:
        found.setdefault(delivery.fields[b"customer"], []).append(delivery.id)
    return found


def is_in_order(sink):
    numbers = {key: [tuple(map(int, id_.split("-"))) for id_ in ids] for key, ids in by_key(sink).items()}
    return all(ids == sorted(ids) for ids in numbers.values())


def test_an_event_waits_until_the_one_before_it_of_its_key_has_succeeded(redis, bridge):
    ids = order(redis, "abab")
    sink = KeepingSink(refuses=lambda delivery: delivery.id == ids[0] and delivery.attempt < 3)
    consumer = bridge(sink, retry=Policy(schedule=(60,)), **BY_CUSTOMER)

    consumer.run_dry()
    assert sink.ids == [ids[1], ids[3]]
    assert places(redis) == {"done": 2, "waiting": 1, "parked": 1}
    make_due(redis)
    consumer.run_dry()
    make_due(redis)
    consumer.run_dry()

    assert sink.ids == [ids[1], ids[3], ids[0], ids[2]]
    assert places(redis) == {"done": 4}


def test_an_event_that_is_given_up_lets_the_next_of_its_key_go(redis, bridge):
    ids = order(redis, "aa")

    consumer = bridge(KeepingSink(refuses=lambda delivery: delivery.id == ids[0]), retry=AT_ONCE, **BY_CUSTOMER)
    consumer.run_dry()

    assert consumer.sink.ids == ids[1:]
    assert places(redis) == {"done": 1, "dead": 1}


def test_order_stream_keeps_the_order_of_the_stream_while_events_fail(redis, bridge):
    ids = publish(redis, 30)
    sink = KeepingSink(refuses=lambda delivery: delivery.attempt == 1 and random.random() < 0.5)

    worker = bridge(sink, retry=AT_ONCE, order="stream", drain=True).worker
    while not worker.finished:
        worker.step()

    assert sink.ids == ids


class BatchSink(KeepingSink):
    """Takes batches and remembers the events of each; `becomes` returns the outcome of an event."""

    def __init__(self, becomes=lambda _: None):
        super().__init__()
        self.batches = []
        self.becomes = becomes

    def deliver(self, batch, may_begin):
        self.batches.append([delivery.fields[b"customer"].decode() for delivery in batch])
        outcomes = [self.becomes(delivery) for delivery in batch]
        if away := next((outcome for outcome in outcomes if isinstance(outcome, SinkAway)), None):
            raise away
        self.got += [delivery for delivery, outcome in zip(batch, outcomes, strict=True) if outcome is None]
        return outcomes


@pytest.mark.parametrize("options", [BY_CUSTOMER, {"order": "stream"}])
def test_events_of_one_key_are_read_and_acknowledged_by_the_batch(redis, bridge, options):
    ids = order(redis, "a" * 10)
    consumer = bridge(**options)

    consumer.worker.step()

    assert consumer.sink.ids == ids
    assert places(redis) == {"done": 10}


def test_a_sink_never_has_two_events_of_one_key_in_work_at_once(redis, bridge):
    order(redis, "aabacb")

    consumer = bridge(BatchSink(), **BY_CUSTOMER).run_dry()

    assert consumer.sink.batches == [["a", "b", "c"], ["a", "b"], ["a"]]


def test_events_without_a_key_are_delivered_side_by_side(redis, bridge):
    for _ in range(3):
        redis.xadd(STREAM, {"event_type": "order-placed", "customer": "a"})
    publish(redis, 3, other=1)

    class Sizes(KeepingSink):
        def deliver(self, batch, may_begin):
            self.sizes = [*getattr(self, "sizes", []), len(batch)]
            return super().deliver(batch, may_begin)

    consumer = bridge(Sizes(), **BY_CUSTOMER).run_dry()

    assert consumer.sink.sizes == [4, 1, 1]


def test_the_failure_of_one_event_stops_its_key_and_no_other(redis, bridge):
    ids = order(redis, "aabb")
    sink = BatchSink(lambda delivery: SinkError("no") if delivery.id == ids[0] else None)

    bridge(sink, retry=Policy(schedule=(60,)), **BY_CUSTOMER).worker.step()

    assert sink.ids == ids[2:]
    assert places(redis) == {"done": 2, "waiting": 1, "parked": 1}


def test_a_receiver_that_disables_its_bridge_gets_no_further_batch(redis, bridge):
    ids = order(redis, "abab")
    sink = BatchSink(lambda delivery: SinkDisabled("gone") if delivery.id == ids[0] else None)

    bridge(sink, **BY_CUSTOMER).worker.step()

    assert sink.batches == [["a", "b"]]
    assert places(redis) == {"done": 1, "waiting": 2, "parked": 1}


def test_events_taken_before_the_sink_was_away_are_acknowledged(redis, bridge):
    ids = order(redis, "aaa")
    sink = BatchSink(lambda delivery: SinkAway("away") if delivery.id == ids[1] and delivery.attempt == 1 else None)
    consumer = bridge(sink, order="stream")

    consumer.worker.step()
    assert sink.ids == ids[:1]
    assert places(redis) == {"done": 1, "waiting": 1, "parked": 1}


def test_a_worker_waits_instead_of_reading_events_that_would_be_blocked_by_key(redis, bridge):
    ids = publish(redis, 20)
    sink = KeepingSink(refuses=lambda delivery: delivery.id == ids[0])
    consumer = bridge(sink, order="stream", block_ms=60_000, retry=Policy(schedule=(60,)))
    other = bridge(sink, order="stream", block_ms=60_000)

    consumer.worker.step()
    for worker in (consumer.worker, other.worker):
        assert worker.step() is False
        assert worker.pause == 1.0

    assert places(redis) == {"waiting": 1, "parked": 9}


def test_an_event_that_a_bridge_filters_out_does_not_block_its_key(redis, bridge):
    redis.xadd(STREAM, {"event_type": "order-paid", "customer": "a"})
    ids = order(redis, "aa")

    consumer = bridge(only=frozenset({"order-placed"}), drain=True, **BY_CUSTOMER)
    consumer.worker.run()

    assert consumer.sink.ids == ids
    assert places(redis) == {"done": 2, "filtered": 1}


def test_events_of_other_keys_are_delivered_past_many_events_blocked_by_one_key(redis, bridge):
    ids = order(redis, "a" * 50 + "b")
    sink = KeepingSink(refuses=lambda delivery: delivery.fields[b"customer"] == b"a")
    consumer = bridge(sink, batch=10, retry=Policy(schedule=(60,)), drain=True, **BY_CUSTOMER)

    consumer.worker.run()

    assert sink.ids == ids[50:]
    assert parked(redis) == ids[1:50]


def test_the_order_of_each_key_is_kept_when_consumers_die_in_the_middle(redis, bridge):
    """Each consumer takes a few events, ends at a random place, and leaves its events to the next one."""
    chance = random.Random(7)
    ids = order(redis, [chance.choice("abcde") for _ in range(120)])
    sink = KeepingSink(refuses=lambda _: chance.random() < 0.2)
    for _ in range(400):
        consumer = bridge(
            sink,
            consumer=name_of_the_dead(),
            retry=Policy(most_attempts=0, backoff=Backoff(base=0, cap=0)),
            **BY_CUSTOMER,
        )
        worker = consumer.worker
        worker._joiner.join_if_needed()
        while worker._upkeep.step():
            pass
        held = worker._membership.lease(3).events or worker._membership.read(3, 0)
        worker._dispatcher.deliver(held, time.monotonic())
        if chance.random() < 0.6:
            # The others are killed with what they had delivered, before they could say so.
            worker._dispatcher.flush_outcomes(worker._membership)
        if places(redis) == {"done": 120}:
            break

    first_times = {}
    for delivery in sink.got:
        first_times.setdefault(delivery.id, delivery)
    sink.got = list(first_times.values())
    assert sorted(sink.ids) == sorted(ids)
    assert is_in_order(sink)
    assert places(redis) == {"done": 120}


def test_two_workers_of_a_group_keep_the_order_of_each_key(redis, bridge):
    chance = random.Random(3)
    ids = order(redis, [chance.choice("abcdef") for _ in range(600)])
    sink = KeepingSink(refuses=lambda _: chance.random() < 0.1)
    consumers = [
        bridge(sink, drain=True, batch=20, retry=Policy(most_attempts=0, backoff=Backoff(base=0, cap=0)), **BY_CUSTOMER)
        for _ in range(2)
    ]

    def run(consumer):
        while not places_are_done(redis, 600):
            consumer.worker.step()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, consumers))

    assert sorted(sink.ids) == sorted(ids)
    assert is_in_order(sink)
    for consumer in consumers:
        consumer.worker.leave(connections.executor())
    assert places(redis) == {"done": 600}


def places_are_done(redis, count):
    return int(redis.hget("syn:{orders}:cnt:warehouse", "done") or 0) >= count


@pytest.mark.parametrize("options", [BY_CUSTOMER, {"order": "stream"}])
def test_an_ordered_read_that_waits_ends_when_an_event_is_stored(redis, bridge, options):
    consumer = bridge(**options)
    consumer.worker._joiner.join_if_needed()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(consumer.worker._membership.read, 10, 60_000)
        while not any(b"XREAD" in client["cmd"].upper().encode() for client in redis.client_list()):
            pass
        (id_,) = order(redis, "a")

        assert [held.id for held in reading.result(60)] == [id_]


def test_events_of_a_late_answer_are_no_longer_in_flight(redis, bridge, monkeypatch):
    """From when it was read another consumer may have it after a lease, whenever the answer came."""
    now = [0.0]
    consumer = bridge(clock=lambda: now[0], lease_ms=10_000, **BY_CUSTOMER).run_dry()
    ids = order(redis, "ab")
    executor = consumer.worker._membership._executor
    execute = executor.execute

    def late(commands):
        replies = execute(commands)
        now[0] += 6
        return replies

    with monkeypatch.context() as patched:
        patched.setattr(executor, "execute", late)
        consumer.worker.step()
    assert consumer.sink.got == []

    consumer.run_dry()
    assert (consumer.sink.ids, consumer.sink.attempts) == (ids, [1, 1])


def test_a_permanent_failure_of_a_key_is_no_failure_of_its_order(redis, bridge):
    ids = order(redis, "aaa")

    class Refusing(KeepingSink):
        def take(self, delivery):
            if delivery.id == ids[1]:
                raise SinkError("never", permanent=True)
            super().take(delivery)

    consumer = bridge(Refusing(), **BY_CUSTOMER).run_dry()

    assert consumer.sink.ids == [ids[0], ids[2]]
    assert redis.xpending(*PLACE)["pending"] == 0
