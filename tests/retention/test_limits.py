"""Events that no group pins are kept up to a stream's limits, and no further."""

from datetime import timedelta

import pytest

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.retention.janitor import limits_of


def test_a_stream_is_cut_to_exactly_its_maximum_length_oldest_first(orders, sweep):
    orders.publish(*range(1, 1235))

    sweep(max_length=321)

    assert orders.kept == list(range(914, 1235))
    assert orders.trimmed == 913


def test_a_stream_within_its_limits_is_left_alone(orders, sweep):
    orders.publish(1, 2, 3)

    sweep(max_length=3)

    assert orders.kept == [1, 2, 3]
    assert orders.trimmed == 0


def test_entries_older_than_the_maximum_age_go_by_the_time_of_redis(orders, sweep):
    now = orders.now()
    minutes_ago = {age: now - age * 60_000 for age in (90, 61, 59, 1)}
    orders.publish(*minutes_ago.values())

    sweep(max_age=timedelta(hours=1))

    assert orders.kept == [minutes_ago[59], minutes_ago[1]]


def test_an_age_greater_than_the_time_since_1970_cuts_nothing(orders, sweep):
    orders.publish(1, 2)

    sweep(max_age=timedelta(days=100 * 365))

    assert orders.kept == [1, 2]


def test_a_stream_whose_entries_are_all_too_old_keeps_its_groups(orders, sweep, redis):
    orders.publish(1, 2, 3)
    orders.group("billing", at="3-0")

    sweep(max_age=timedelta(hours=1))

    assert orders.kept == []
    assert [group["name"] for group in redis.xinfo_groups("orders")] == [b"billing"]


@pytest.mark.parametrize("room", [1, 7, 100])
def test_a_turn_trims_in_bounded_pieces_until_the_limit_is_met(orders, sweep, room):
    orders.publish(*range(1, 301))

    sweep(max_length=10, room=room)

    assert orders.kept == list(range(291, 301))


def test_deleted_entries_inside_do_not_count(orders, sweep, redis):
    orders.publish(*range(1, 251))
    redis.xdel("orders", *(f"{number}-0" for number in range(1, 251, 2)))

    sweep(max_length=20)

    assert orders.kept == list(range(212, 251, 2))
    assert orders.trimmed == 105


def test_a_maximum_beyond_the_hard_length_yields_to_it():
    limits = limits_of(StreamDefinition(name="orders", max_length=100_000, hard_length=500))

    assert (limits.max_length, limits.hard_length) == (500, 500)


def test_a_stream_that_refuses_when_full_keeps_a_tenth_free_of_history(orders, sweep):
    orders.publish(*range(1, 101))

    sweep(max_length=100, hard_length=100, when_full="reject")

    assert orders.kept == list(range(11, 101))
