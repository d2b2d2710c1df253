"""The backlog of a pinning group is kept beyond the limits; which groups pin."""

from datetime import timedelta

from synapse.redis import keyspace


def test_unread_entries_of_a_durable_group_stay(orders, sweep):
    orders.publish(*range(1, 11))
    orders.group("billing", at="4-0")

    sweep(max_length=2, durable={"billing"})

    assert orders.kept == [5, 6, 7, 8, 9, 10]


def test_pending_entries_of_a_durable_group_stay_and_all_that_follow(orders, sweep):
    orders.publish(*range(1, 11))
    orders.group("billing")
    orders.read("billing", 10)
    orders.settle("billing", 1, 2, 4, 5)

    sweep(max_length=2, durable={"billing"})

    assert orders.kept == [3, 4, 5, 6, 7, 8, 9, 10]


def test_too_old_entries_stay_while_they_are_unacknowledged(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("billing", at="1-0")

    sweep(max_age=timedelta(hours=1), durable={"billing"})

    assert orders.kept == [2, 3]


def test_the_slowest_group_decides(orders, sweep):
    orders.publish(*range(1, 11))
    orders.group("billing", at="7-0")
    orders.group("mailing", at="2-0")

    sweep(max_length=1, durable={"billing", "mailing"})

    assert orders.kept == list(range(3, 11))


def test_acknowledged_events_are_not_pinned(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("billing")
    orders.read("billing", 3)
    orders.settle("billing", 1, 2, 3)

    sweep(max_length=1, durable={"billing"})

    assert orders.kept == [3]


def test_a_group_at_the_very_beginning_pins_everything(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("billing", at="0-0")

    sweep(max_length=1, durable={"billing"})

    assert orders.kept == [1, 2, 3]


def test_a_pending_entry_that_was_deleted_pins_nothing(orders, sweep, redis):
    orders.publish(*range(1, 301))
    orders.group("billing")
    orders.read("billing", 300)
    redis.xdel("orders", *(f"{number}-0" for number in range(2, 241)))
    orders.settle("billing", 1, *range(250, 301))

    sweep(max_length=1, durable={"billing"})

    assert orders.kept[0] == 241


def test_pending_entries_that_another_program_trimmed_pin_nothing(orders, sweep, redis):
    orders.publish(*range(1, 301))
    orders.group("billing")
    orders.read("billing", 300)
    redis.xtrim("orders", maxlen=100, approximate=False)
    orders.settle("billing", *range(201, 251))

    sweep(max_length=1, durable={"billing"})

    assert orders.kept[0] == 251


def test_a_durable_group_pins_however_long_it_was_silent(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("billing")
    orders.silent("billing", hours=24 * 365)

    sweep(max_length=1, durable={"billing"})

    assert orders.kept == [1, 2, 3]


def test_any_other_group_pins_from_the_moment_it_is_first_seen(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("terminal")

    sweep(max_length=1)

    assert orders.kept == [1, 2, 3]


def test_any_other_group_pins_until_it_was_silent_for_a_day(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("terminal")

    orders.silent("terminal", hours=23)
    sweep(max_length=1)
    after_23_hours = orders.kept
    orders.silent("terminal", hours=25)
    sweep(max_length=1)

    assert after_23_hours == [1, 2, 3]
    assert orders.kept == [3]


def test_events_that_a_silent_group_misses_are_counted_as_lost_silent(orders, sweep):
    orders.publish(*range(1, 11))
    orders.group("terminal", at="2-0")
    orders.silent("terminal", hours=25)

    sweep(max_length=3)

    assert orders.lost("terminal", "lost_silent") == 5
    assert orders.lost("terminal", "lost_trimmed") == 0


def test_large_losses_of_a_silent_group_are_never_counted_as_forced(orders, sweep):
    orders.publish(*range(1, 401))
    orders.group("terminal")
    orders.read("terminal", 350)

    sweep(max_length=10, hard_length=20, pin_for=timedelta(0))

    assert orders.kept == list(range(391, 401))
    assert orders.lost("terminal", "lost_silent") == 390
    assert orders.lost("terminal", "lost_trimmed") == 0


def test_a_consumer_that_asks_keeps_its_group_pinning_though_nothing_moves(orders, sweep, redis):
    orders.publish(1, 2, 3)
    orders.group("terminal")
    orders.read("terminal", 1)
    orders.silent("terminal", hours=25)

    sweep(max_length=1)

    assert orders.kept == [1, 2, 3]
    since = int(redis.hget(keyspace.pins("orders"), "terminal").split()[0])
    assert orders.now() - since < 60_000


def test_a_group_that_moved_since_it_was_remembered_pins_anew(orders, sweep, redis):
    orders.publish(1, 2, 3)
    orders.group("terminal")
    orders.silent("terminal", hours=25)
    redis.xgroup_setid("orders", "terminal", "1-0")

    sweep(max_length=1)

    assert orders.kept == [2, 3]


def test_a_group_that_acknowledged_events_since_its_pin_was_written_pins_anew(orders, sweep, redis):
    orders.publish(1, 2, 3)
    orders.group("terminal")
    redis.xreadgroup("terminal", "gone", {"orders": ">"}, count=1)
    orders.silent("terminal", hours=25)
    redis.xgroup_delconsumer("orders", "terminal", "gone")

    sweep(max_length=1)

    assert orders.kept == [2, 3]


def test_pins_of_groups_that_are_gone_or_durable_now_are_dropped(orders, sweep, redis):
    orders.publish(1)
    orders.group("billing")
    orders.group("terminal")
    redis.hset(
        keyspace.pins("orders"), mapping={"billing": "1 0 0-0", "long-gone": "1 0 0-0", "terminal": "no row at all"}
    )

    sweep(durable={"billing"})

    assert list(redis.hgetall(keyspace.pins("orders"))) == [b"terminal"]


def test_pins_are_written_only_when_a_group_moved(orders, sweep, redis):
    orders.publish(1)
    orders.group("terminal")
    orders.silent("terminal", hours=0.5)
    redis.config_resetstat()

    sweep()

    assert "cmdstat_hset" not in redis.info("commandstats")


def test_a_clock_that_was_ahead_does_not_pin_for_ever(orders, sweep, redis):
    orders.publish(1)
    orders.group("terminal")
    orders.silent("terminal", hours=-24 * 365)

    sweep()

    assert int(redis.hget(keyspace.pins("orders"), "terminal").split()[0]) <= orders.now()


def test_a_missing_durable_group_is_created_before_anything_is_trimmed(orders, sweep):
    orders.publish(*range(1, 11))

    sweep(max_length=2, durable={"billing": "0", "mailing": "6-0"})

    assert orders.kept == list(range(1, 11))
    places = {row["name"]: row["last-delivered-id"] for row in orders.redis.xinfo_groups("orders")}
    assert places == {b"billing": b"0-0", b"mailing": b"6-0"}


def test_a_durable_group_that_begins_at_the_end_pins_no_earlier_events(orders, sweep):
    orders.publish(*range(1, 11))

    sweep(max_length=2, durable={"billing": "$"})
    orders.publish(11, 12, 13)
    sweep(max_length=2, durable={"billing": "$"})

    assert orders.kept == [11, 12, 13]


def test_a_lost_durable_group_is_created_again_and_pins_all_events(orders, sweep):
    sweep(max_length=2, durable={"billing": "$"})
    orders.publish(1, 2, 3)
    orders.redis.xgroup_destroy("orders", "billing")

    sweep(max_length=1, durable={"billing": "$"})

    assert orders.kept == [1, 2, 3]
    assert orders.lost("billing", "groups_recreated") == 1
    assert orders.redis.xinfo_consumers("orders", "billing") == []


def test_an_existing_durable_group_keeps_its_position(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("billing", at="2-0")

    sweep(max_length=1, durable={"billing": "0"})

    assert orders.kept == [3]
    assert orders.lost("billing", "groups_recreated") == 0
