"""One janitor works at a time, over all processes; its turns are bounded and fair."""

import itertools
from datetime import timedelta

import pytest

from streams import background_tasks, connections
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import ReplyError, keyspace
from synapse.retention import janitor
from synapse.retention.janitor import (
    LEASE_MS,
    TOGETHER,
    durable_groups,
    provide_durable_groups,
)

SHORT = StreamDefinition(name="orders", max_length=1)


@pytest.fixture
def providers(monkeypatch):
    """Nobody knows of durable groups but whom the test registers."""
    monkeypatch.setattr(janitor, "_providers", [])


def test_a_second_janitor_leaves_the_work_to_the_first(make_janitor, orders):
    first, second = make_janitor(), make_janitor(SHORT)
    orders.publish(1, 2, 3)

    assert first.step()
    assert not second.step()

    assert orders.kept == [1, 2, 3]


def test_the_first_stays_janitor_because_it_renews_its_lease(make_janitor, redis):
    first, second = make_janitor(), make_janitor()
    first.step()
    redis.pexpire(keyspace.JANITOR_LEASE, 100)

    first.step()

    assert redis.pttl(keyspace.JANITOR_LEASE) > 100
    assert not second.step()


def test_the_lease_of_a_killed_janitor_ends_and_the_next_one_works(make_janitor, orders, redis):
    killed, next_one = make_janitor(), make_janitor(SHORT)
    orders.publish(1, 2, 3)
    killed.step()
    assert 0 < redis.pttl(keyspace.JANITOR_LEASE) <= LEASE_MS
    redis.delete(keyspace.JANITOR_LEASE)  # as if that time had gone by

    assert next_one.step()

    assert orders.kept == [3]


def test_a_janitor_that_slept_through_its_lease_steps_back(make_janitor, redis):
    slept, successor = make_janitor(), make_janitor()
    slept.step()
    redis.delete(keyspace.JANITOR_LEASE)
    successor.step()

    assert not slept.step()


def test_a_lease_that_is_no_lease_stops_the_janitor_loudly(make_janitor, redis):
    redis.sadd(keyspace.JANITOR_LEASE, "something else")

    with pytest.raises(ReplyError, match="WRONGTYPE"):
        make_janitor().step()


def test_a_turn_that_runs_out_of_time_goes_on_where_it_stopped(make_janitor, redis):
    names = [f"stream-{number:02}" for number in range(2 * TOGETHER + 1)]
    for name in names:
        redis.xadd(name, {"n": 1}, id="1-0")
        redis.xadd(name, {"n": 2}, id="2-0")
    worker = make_janitor(*(StreamDefinition(name=name, max_length=1) for name in names), budget=0)

    trimmed = []
    for _ in range(3):
        worker.step()
        trimmed.append(sum(redis.xlen(name) == 1 for name in names))

    assert trimmed == [TOGETHER, 2 * TOGETHER, 2 * TOGETHER + 1]


def test_a_long_stream_does_not_keep_other_streams_waiting(make_janitor, redis):
    for name, number in itertools.product(("aaa-long", "zzz-short"), range(1, 101)):
        redis.xadd(name, {"n": number}, id=f"{number}-0")
    streams = [StreamDefinition(name="aaa-long", max_length=1), StreamDefinition(name="zzz-short", max_length=95)]
    worker = make_janitor(*streams, room=10, budget=0)

    worker.step()

    assert (redis.xlen("aaa-long"), redis.xlen("zzz-short")) == (90, 95)


def test_a_stream_that_was_cut_is_looked_at_in_the_next_turn_wherever_the_round_is(make_janitor, redis, monkeypatch):
    names = [f"stream-{number:02}" for number in range(2 * TOGETHER)]
    for name in names:
        redis.xadd(name, {"n": 1}, id="1-0")
    redis.xadd(names[0], {"n": 2}, id="2-0")
    # No time at all for looking: a lot of streams a turn, whoever they are.
    monkeypatch.setattr(janitor, "LOOKING", -1)
    worker = make_janitor(*(StreamDefinition(name=name, max_length=1) for name in names))
    worker.step()
    redis.xadd(names[0], {"n": 3}, id="3-0")

    worker.step()

    assert redis.xlen(names[0]) == 1


def test_looking_at_idle_streams_takes_a_part_of_a_turn(make_janitor, redis, monkeypatch):
    names = [f"stream-{number:02}" for number in range(TOGETHER + 1)]
    for name in names:
        redis.xadd(name, {"n": 1}, id="1-0")
    redis.xadd(names[-1], {"n": 2}, id="2-0")
    monkeypatch.setattr(janitor, "LOOKING", 0)
    worker = make_janitor(*(StreamDefinition(name=name, max_length=1) for name in names))

    lengths = []
    for _ in range(2):
        worker.step()
        lengths.append(redis.xlen(names[-1]))

    assert lengths == [2, 1]


class TestIdleStreams:
    """Idle streams cost little: their lengths are asked for together, and no more."""

    @pytest.fixture
    def now(self):
        return [1000.0]

    @pytest.fixture
    def asked(self, monkeypatch):
        """The names of the commands of each pipeline that the janitor sends."""
        executor, sent = connections.executor(), []
        execute = executor.execute

        def noted(commands):
            sent.append([command.words[0] for command in commands])
            return execute(commands)

        monkeypatch.setattr(executor, "execute", noted)
        return sent

    @pytest.fixture
    def idle(self, make_janitor, redis, now):
        """A janitor that has looked once at many streams of one entry each; each may hold two."""

        def idle(count=TOGETHER * 3, **limits):
            names = [f"stream-{number:02}" for number in range(count)]
            for name in names:
                redis.xadd(name, {"n": 1}, id="1-0")
            definitions = [StreamDefinition(name=name, **{"max_length": 2, **limits}) for name in names]
            worker = make_janitor(*definitions, clock=lambda: now[0])
            worker.step()
            return worker

        return idle

    def test_the_lengths_of_idle_streams_are_asked_for_in_one_pipeline(self, idle, now, asked):
        worker = idle()
        asked.clear()
        now[0] += 1

        worker.step()

        assert asked == [["EVALSHA", "ZRANGE"], ["XLEN"] * TOGETHER * 3]

    def test_the_lengths_of_many_idle_streams_are_asked_for_less_often(self, idle, now, asked, monkeypatch):
        monkeypatch.setattr(janitor, "ASK_EVERY", 1.0)
        worker = idle(5)
        worker.step()
        asked.clear()

        lengths = []
        for _ in range(5):
            now[0] += 1
            worker.step()
            lengths.append(["XLEN"] * 5 in asked)

        assert lengths == [False, False, False, False, True]

    def test_a_stream_that_grows_beyond_its_limit_is_cut_in_the_next_turn(self, idle, now, redis):
        worker = idle()
        redis.xadd("stream-07", {"n": 2}, id="2-0")
        redis.xadd("stream-07", {"n": 3}, id="3-0")
        now[0] += 1

        worker.step()

        assert redis.xlen("stream-07") == 2

    def test_a_stream_that_was_published_to_lately_is_asked_for_at_once(self, idle, now, redis, monkeypatch):
        monkeypatch.setattr(janitor, "ASK_EVERY", 1000.0)
        worker = idle()
        worker.step()
        for number in (2, 3):
            redis.xadd("stream-07", {"n": number}, id=f"{number}-0")
        redis.zadd(keyspace.PUBLISHERS, {"stream-07 shop": 1_700_000_000_000})
        now[0] += 1

        worker.step()

        assert redis.xlen("stream-07") == 2

    def test_a_stream_whose_oldest_entry_grows_too_old_is_cut_when_it_is(self, make_janitor, redis, now):
        ms = int(redis.time()[0]) * 1000
        redis.xadd("orders", {"n": 1}, id=f"{ms - 59_000}-0")
        definition = StreamDefinition(name="orders", max_age=timedelta(seconds=60))
        worker = make_janitor(definition, clock=lambda: now[0])
        worker.step()

        assert 0 < worker._known["orders"].look_at - now[0] <= 1.0

    def test_the_first_entry_of_an_empty_stream_is_seen(self, make_janitor, redis, now):
        redis.xdel("orders", redis.xadd("orders", {"n": 1}, id="1-0"))
        worker = make_janitor(StreamDefinition(name="orders", max_age=timedelta(seconds=60)), clock=lambda: now[0])
        worker.step()
        redis.xadd("orders", {"n": 2}, id="2-0")
        now[0] += 1

        worker.step()

        assert redis.xlen("orders") == 0

    def test_a_stream_with_another_limit_is_looked_at_again(self, make_janitor, orders, now):
        orders.publish(1, 2, 3)
        catalog = {"orders": StreamDefinition(name="orders", max_length=3)}
        worker = make_janitor(clock=lambda: now[0])
        worker._streams = lambda: catalog
        worker.step()
        catalog["orders"] = SHORT

        worker.step()

        assert orders.kept == [3]

    def test_a_new_durable_group_is_made_in_the_next_turn(self, make_janitor, orders, now, redis):
        orders.publish(1)
        groups = {}
        worker = make_janitor(StreamDefinition(name="orders"), clock=lambda: now[0])
        worker._durable = lambda: groups
        worker.step()
        groups["orders"] = {"billing": "0"}

        worker.step()

        assert [row["name"] for row in redis.xinfo_groups("orders")] == [b"billing"]

    def test_a_stream_that_was_lost_has_its_durable_groups_again(self, make_janitor, orders, now, redis):
        orders.publish(1)
        worker = make_janitor(StreamDefinition(name="orders"), durable={"orders": {"billing"}}, clock=lambda: now[0])
        worker.step()
        redis.delete("orders")

        for _ in range(2):
            now[0] += 1
            worker.step()

        assert [row["name"] for row in redis.xinfo_groups("orders")] == [b"billing"]

    def test_groups_are_looked_at_from_time_to_time_though_nothing_comes(self, make_janitor, orders, now, redis):
        orders.publish(1)
        worker = make_janitor(StreamDefinition(name="orders"), clock=lambda: now[0])
        worker.step()
        orders.group("billing")
        now[0] += janitor.LOOK_EVERY

        worker.step()
        worker.step()

        assert redis.hexists(keyspace.pins("orders"), "billing")


def test_a_stream_that_leaves_the_catalog_during_a_round_is_passed_over(make_janitor, redis):
    names = [f"stream-{number:02}" for number in range(TOGETHER + 2)]
    catalog = {name: StreamDefinition(name=name) for name in names}
    worker = make_janitor(budget=0)
    worker._streams = lambda: catalog
    worker.step()
    del catalog[names[TOGETHER]]

    assert worker.step()


def test_every_provider_of_durable_groups_is_asked(providers):
    provide_durable_groups(lambda: {"orders": {"billing": "0"}})
    provide_durable_groups(lambda: {"orders": {"mailing": "$"}, "payments": {"billing": "0"}})

    assert durable_groups() == {"orders": {"billing": "0", "mailing": "$"}, "payments": {"billing": "0"}}


def test_while_the_durable_groups_are_not_known_nothing_is_trimmed(make_janitor, orders):
    orders.publish(1, 2, 3)
    worker = make_janitor(SHORT)
    worker._durable = lambda: {}["no database"]

    with pytest.raises(KeyError):
        worker.step()

    assert orders.kept == [1, 2, 3]


@pytest.mark.django_db(transaction=True)
def test_every_long_running_process_keeps_the_streams_of_the_catalog_in_bounds(define, orders):
    define("orders", max_length=2)
    orders.publish(1, 2, 3, 4)

    for work in background_tasks.WORK:
        work.run_step()

    assert orders.kept == [3, 4]
