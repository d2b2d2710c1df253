"""How far a group is, noted for the case that it is lost: it goes on there, and misses nothing."""

import pytest

from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import groups as group_commands
from tests.bridges.cast import COUNTERS, GROUP, PLACE, STREAM, made_by_us, publish, read_and_die


@pytest.fixture
def group(redis):
    """A group that Synapse made."""
    made_by_us(redis)


@pytest.fixture
def checkpoint(send):
    """Note how far the group is."""
    return lambda: send(delivery_commands.checkpoint(*PLACE))


@pytest.fixture
def made_again(redis, send):
    """Lose the group, and let a consumer that was in it make it again."""

    def lose(*, destroy=True):
        if destroy:
            redis.xgroup_destroy(*PLACE)
        return send(delivery_commands.join(*PLACE, "me", start="0", mode="again", run="another"))

    return lose


def test_a_group_without_pending_events_is_recreated_after_the_last_event_that_it_read(
    redis, send, group, checkpoint, made_again
):
    ids = publish(redis, 5)
    send(delivery_commands.done(*PLACE, read_and_die(redis, "me", count=3)))
    assert checkpoint() == ids[2]

    joined = made_again()

    assert (joined.created, joined.resumed) == (True, True)
    assert read_and_die(redis, "me") == ids[3:]


def test_events_in_flight_at_the_checkpoint_are_delivered_again_after_the_group_was_lost(
    redis, send, group, checkpoint, made_again
):
    ids = publish(redis, 5)
    read_and_die(redis, "me", count=4)
    send(delivery_commands.done(*PLACE, [ids[0], ids[2]]))
    checkpoint()

    made_again()

    assert read_and_die(redis, "me") == ids[1:]


def test_events_acknowledged_after_the_checkpoint_are_delivered_again_after_the_group_was_lost(
    redis, send, group, checkpoint, made_again
):
    ids = publish(redis, 3)
    send(delivery_commands.done(*PLACE, read_and_die(redis, "me", count=1)))
    checkpoint()
    send(delivery_commands.done(*PLACE, read_and_die(redis, "me", count=1)))

    made_again()

    assert read_and_die(redis, "me") == ids[1:]


@pytest.mark.parametrize(
    ("pending", "before"),
    [
        ("5-7", "5-6"),
        ("5-0", "4-18446744073709551615"),
        ("1766570400123-0", "1766570400122-18446744073709551615"),
        ("5-900719925474099", "5-900719925474098"),
        # Lower than need be, where Lua cannot count.
        ("5-18446744073709551615", "5-0"),
        ("0-1", "0-0"),
    ],
)
def test_the_checkpoint_is_just_before_the_first_pending_event(redis, group, checkpoint, made_again, pending, before):
    redis.xadd(STREAM, {"n": 1}, id=pending)
    read_and_die(redis, "me")

    assert checkpoint() == before

    made_again()
    assert read_and_die(redis, "me") == [pending]


def test_the_group_begins_at_the_beginning_of_a_new_stream_of_the_same_name(redis, group, checkpoint, made_again):
    redis.xadd(STREAM, {"n": 1}, id="9-9")
    read_and_die(redis, "me")
    checkpoint()
    redis.delete(STREAM)
    redis.xadd(STREAM, {"n": 1}, id="3-1")

    assert not made_again(destroy=False).resumed

    assert read_and_die(redis, "me") == ["3-1"]


def test_a_group_that_was_moved_back_and_lost_at_once_misses_nothing(redis, send, group, checkpoint, made_again):
    ids = publish(redis, 4)
    send(delivery_commands.done(*PLACE, read_and_die(redis, "me")))
    checkpoint()
    send(group_commands.move(*PLACE, ids[0]))

    assert not made_again().resumed

    assert read_and_die(redis, "me") == ids


def test_a_new_consumer_of_a_lost_group_begins_at_the_start_that_it_asks_for(redis, send, group, checkpoint):
    ids = publish(redis, 2)
    send(delivery_commands.done(*PLACE, read_and_die(redis, "me")))
    checkpoint()
    redis.xgroup_destroy(*PLACE)

    assert not send(delivery_commands.join(*PLACE, "another", start="0", mode="any", run="another")).resumed

    assert read_and_die(redis, "another") == ids


def test_a_group_recreated_by_another_program_keeps_its_position(redis, group, checkpoint, made_again):
    publish(redis, 2)
    read_and_die(redis, "me")
    checkpoint()
    redis.xgroup_destroy(*PLACE)
    redis.xgroup_create(STREAM, GROUP, "$")

    joined = made_again(destroy=False)

    assert (joined.created, joined.resumed) == (False, False)
    assert read_and_die(redis, "me") == []


def test_a_missing_group_has_no_checkpoint(redis, checkpoint):
    redis.xadd(STREAM, {"n": 1})

    assert checkpoint().code == "NOGROUP"
    assert not redis.exists(COUNTERS)


def test_an_idle_worker_writes_a_checkpoint_once_a_minute(redis, bridge):
    now = [0.0]
    worker = bridge(clock=lambda: now[0]).run_dry()
    redis.hset(COUNTERS, "place", "none")

    noted = []
    for moment in (5.0, 59.0, 60.0):
        now[0] = moment
        worker.run_dry()
        noted.append(redis.hget(COUNTERS, "place").decode())

    assert noted == ["none", "none", "0-0"]


def test_a_busy_worker_writes_a_checkpoint_at_its_start_and_after_five_seconds(redis, bridge):
    now = [0.0]
    worker = bridge(clock=lambda: now[0]).run_dry()
    ids = publish(redis, 2)
    worker.run_dry()
    noted = [redis.hget(COUNTERS, "place").decode()]

    now[0] = 5.0
    worker.run_dry()
    noted.append(redis.hget(COUNTERS, "place").decode())

    assert noted == ["0-0", ids[-1]]
