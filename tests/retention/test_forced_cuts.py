"""Beyond the hard length unacknowledged events are trimmed too, and each group is told the exact number it lost."""

from datetime import timedelta

import pytest

from synapse.redis import keyspace


def test_a_stream_that_drops_its_oldest_is_trimmed_to_the_hard_length_despite_a_backlog(orders, sweep):
    orders.publish(*range(1, 501))
    orders.group("billing")

    sweep(max_length=50, hard_length=200, durable={"billing"})

    assert orders.kept == list(range(301, 501))
    assert orders.trimmed == 300


def test_a_stream_that_refuses_when_full_is_not_trimmed_below_its_backlog(orders, sweep):
    orders.publish(*range(1, 21))
    orders.group("billing")

    sweep(max_length=5, hard_length=10, when_full="reject", durable={"billing"})

    assert orders.kept == list(range(1, 21))


@pytest.mark.parametrize("room", [1, 9, 1000])
def test_the_unread_and_pending_events_that_each_group_lost_are_counted(orders, sweep, room):
    orders.publish(*range(1, 31))
    for group, taken in {"absent": 0, "slow": 8, "busy": 30, "done": 30, "ahead": 25}.items():
        orders.group(group)
        if taken:
            orders.read(group, taken)
    orders.settle("slow", 1, 2, 3, 4, 5)
    orders.settle("busy", *range(3, 13), *range(16, 31))
    orders.settle("done", *range(1, 31))
    orders.settle("ahead", *range(1, 26))

    sweep(max_length=10, hard_length=15, durable={"absent", "slow"}, room=room)

    assert orders.kept == list(range(16, 31))
    assert orders.lost("absent") == 15
    assert orders.lost("slow") == 3 + 7
    assert orders.lost("busy") == 2 + 3
    assert orders.lost("done") == 0
    assert orders.lost("ahead") == 0


def test_groups_that_lose_nothing_get_no_counters(orders, sweep, redis):
    orders.publish(*range(1, 11))
    orders.group("absent")
    orders.group("ahead", at="9-0")

    sweep(max_length=5, hard_length=5, durable={"absent"})

    assert redis.exists(keyspace.counters("orders", "ahead")) == 0


def test_pending_entries_that_were_gone_already_are_not_counted(orders, sweep, redis):
    orders.publish(*range(1, 11))
    orders.group("billing")
    orders.read("billing", 10)
    redis.xdel("orders", "1-0", "3-0")

    sweep(max_length=4, hard_length=4, durable={"billing"})

    assert orders.kept == [7, 8, 9, 10]
    assert orders.lost("billing") == 4


def test_losses_counted_by_an_earlier_trim_are_not_counted_again(orders, sweep):
    orders.publish(*range(1, 11))
    orders.group("billing")
    orders.read("billing", 10)

    sweep(max_length=8, hard_length=8, durable={"billing"})
    sweep(max_length=5, hard_length=5, durable={"billing"})

    assert orders.lost("billing") == 5


def test_an_event_that_is_both_pending_and_unread_is_counted_as_lost_once(orders, sweep, redis):
    orders.publish(*range(1, 11))
    orders.group("billing")
    orders.read("billing", 10)
    redis.xgroup_setid("orders", "billing", "3-0")

    sweep(max_length=4, hard_length=4, durable={"billing"})

    assert orders.lost("billing") == 6


def test_hundreds_of_pending_events_are_counted_page_by_page(orders, sweep):
    orders.publish(*range(1, 451))
    orders.group("billing")
    orders.read("billing", 400)
    orders.settle("billing", *range(1, 400, 4))

    sweep(max_length=50, hard_length=50, durable={"billing"})

    assert orders.kept == list(range(401, 451))
    assert orders.lost("billing") == 300


def test_a_cut_returns_the_id_below_which_pending_events_were_counted(orders, sweep, redis):
    orders.publish(*range(1, 11))
    orders.group("billing")
    orders.read("billing", 10)

    sweep(max_length=4, hard_length=4, durable={"billing"})

    assert redis.hget(keyspace.counters("orders", "billing"), "lost_below") == b"7-0"


def test_a_cut_that_removes_everything_counts_below_the_next_id(orders, sweep, redis):
    orders.publish(1, 2, 3)
    orders.group("terminal")

    sweep(max_age=timedelta(hours=1), pin_for=timedelta(0))

    assert orders.kept == []
    assert redis.hget(keyspace.counters("orders", "terminal"), "lost_below") == b"3-1"


def test_the_pending_entries_themselves_are_left_to_the_group(orders, sweep, redis):
    orders.publish(*range(1, 11))
    orders.group("theirs")
    orders.read("theirs", 10)

    sweep(max_length=4, hard_length=4)

    assert redis.xpending("orders", "theirs")["pending"] == 10
