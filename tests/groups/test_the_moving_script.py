"""Moving a group: afterwards each of its events is in one place, and only a move that discards events loses any."""

import random
from dataclasses import replace

import pytest

from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import groups as group_commands
from synapse.redis.commands.delivery import Failure
from synapse.redis.commands.groups import END
from tests.bridges.cast import (
    COUNTERS,
    DEAD,
    GROUP,
    PLACE,
    STREAM,
    made_by_us,
    pend,
    places,
    publish,
    read_and_die,
    wait,
)
from tests.chaos.profile import examples

pytestmark = pytest.mark.django_db


@pytest.fixture
def moved(send):
    """Return a function that moves a group in small parts, one after another, and adds up their results."""

    def all_parts(*asked, looks=3, **options):
        skipped = again = 0
        cursor = ""
        while True:
            part = send(group_commands.move(*asked, cursor=cursor, looks=looks, **options))
            skipped, again, cursor = skipped + part.skipped, again + part.again, part.cursor
            if not cursor:
                return replace(part, skipped=skipped, again=again)

    return all_parts


def place_of(redis):
    return redis.xinfo_groups(STREAM)[0]["last-delivered-id"].decode()


def unread(redis):
    return [id_.decode() for id_, _ in redis.xrange(STREAM, f"({place_of(redis)}", "+")]


def test_events_before_the_new_position_are_skipped_and_counted(redis, send, moved):
    made_by_us(redis)
    ids = publish(redis, 5)

    done = moved(*PLACE, ids[2])

    assert (done.skipped, done.again, done.position, done.cursor) == (3, 0, ids[2], "")
    assert unread(redis) == ids[3:]
    assert places(redis) == {"skipped": 3}


def test_events_after_the_new_position_are_unread_again(redis, send, moved):
    ids = pend(redis, 4)
    send(delivery_commands.done(*PLACE, ids))

    done = moved(*PLACE, ids[0])

    assert (done.skipped, done.again) == (0, 0)
    assert unread(redis) == ids[1:]


def test_a_group_is_moved_no_further_than_the_newest_event(redis, send, moved):
    made_by_us(redis)
    ids = publish(redis, 3)

    far = moved(*PLACE, "99999999999999-0")

    assert far.position == ids[-1]
    assert moved(*PLACE, END).position == ids[-1]
    assert unread(redis) == []


def test_unacknowledged_events_stay_when_their_group_is_moved_forward(redis, send, moved):
    ids = wait(redis, send, 2)
    pending = publish(redis, 2) and read_and_die(redis, "reader")
    publish(redis, 3)

    moved(*PLACE, END)

    assert places(redis) == {"pending": 2, "waiting": 2, "skipped": 3}
    assert send(delivery_commands.done(*PLACE, [*ids, *pending])) == 4


def test_unacknowledged_events_are_discarded_by_a_move_on_request(redis, send, moved):
    wait(redis, send, 2)
    publish(redis, 2)
    read_and_die(redis, "reader")
    publish(redis, 3)

    done = moved(*PLACE, END, forget_owed=True)

    assert done.skipped == 7
    assert places(redis) == {"skipped": 7}


def test_events_scheduled_for_retry_beyond_the_new_position_become_unread(redis, send, moved):
    ids = wait(redis, send, 4)

    done = moved(*PLACE, ids[1])

    assert done.again == 2
    assert unread(redis) == ids[2:]
    assert places(redis) == {"waiting": 2}


def test_a_trimmed_event_scheduled_for_retry_stays_scheduled_after_a_move(redis, send, moved):
    ids = wait(redis, send, 3)
    redis.xdel(STREAM, ids[1])

    moved(*PLACE, "0-0")

    assert unread(redis) == [ids[0], ids[2]]
    assert places(redis) == {"waiting": 1}


def test_dead_letters_stay_when_their_group_is_moved(redis, send, moved):
    (id_,) = pend(redis, 1)
    send(delivery_commands.fail(*PLACE, [Failure(id=id_, token="", error="no", took_ms=1, delay_ms=0, fatal=True)]))

    moved(*PLACE, "0-0", forget_owed=True)

    assert redis.xlen(DEAD) == 1


def test_an_event_in_flight_that_a_move_made_unread_is_not_settled_by_its_worker(redis, send, moved):
    (id_,) = wait(redis, send, 1)
    (held,) = send(delivery_commands.lease(*PLACE, "slow", limit=1, lease_ms=60_000)).events
    moved(*PLACE, "0-0")

    late = Failure(id=id_, token=held.token, error="no", took_ms=1, delay_ms=0)

    assert send(delivery_commands.fail(*PLACE, [late])) == ["stale"]
    assert send(delivery_commands.done(*PLACE, [id_])) == 0
    assert unread(redis) == [id_]


def test_a_long_move_is_made_in_parts_that_each_end_at_a_position(redis, send, moved):
    made_by_us(redis)
    ids = publish(redis, 25)

    parts = [send(group_commands.move(*PLACE, END, skips=10)) for _ in range(3)]

    assert [(one.skipped, one.cursor, one.position) for one in parts] == [
        (10, "s", ids[9]),
        (10, "s", ids[19]),
        (5, "m0", ids[24]),
    ]


def test_a_second_move_to_the_same_position_changes_nothing(redis, send, moved):
    ids = wait(redis, send, 4)
    publish(redis, 2)
    moved(*PLACE, ids[1], forget_owed=True)

    again = moved(*PLACE, ids[1], forget_owed=True)

    assert (again.skipped, again.again) == (0, 0)
    assert places(redis) == {"skipped": 2}


def test_moving_a_missing_group_fails_with_NOGROUP(redis, send, moved):
    redis.xadd(STREAM, {"n": 1})

    assert send(group_commands.move(*PLACE, END)).code == "NOGROUP"


@pytest.mark.parametrize("seed", range(examples(40)))
def test_moving_an_ordered_group_loses_no_event_and_delivers_none_twice(redis, send, seed, moved):
    chance = random.Random(seed)
    made_by_us(redis)
    ids = []
    for number in range(24):
        ids += publish(redis, 1, customer=chance.choice("abc"))
        if number % 6 == 5:
            send(delivery_commands.read(*PLACE, "one", limit=chance.randint(1, 6), order="key", key="customer"))
            send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=chance.randint(1, 3)))
    for id_ in chance.sample(ids, 3):
        redis.xdel(STREAM, id_)
    before, target, forgets = places(redis), chance.choice(ids), chance.random() < 0.3

    done = moved(*PLACE, target, forget_owed=forgets)
    after = places(redis)

    held = sum(before.get(name, 0) for name in ("pending", "waiting", "parked"))
    left = sum(after.get(name, 0) for name in ("pending", "waiting", "parked"))
    assert place_of(redis) == target
    skipped_unread = done.skipped - (held - done.again - left)
    assert skipped_unread >= 0
    if not forgets:
        assert left == held - done.again
    delivered = set()
    while True:
        read = send(delivery_commands.read(*PLACE, "two", limit=50, order="key", key="customer"))
        leased = send(delivery_commands.lease(*PLACE, "two", limit=50, lease_ms=60_000))
        got = [event.id for event in (*read.events, *leased.events)]
        moved_back = send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=50))
        if not got and not read.read and not moved_back.moved:
            break
        assert len(set(got)) == len(got)
        assert delivered.isdisjoint(got)
        delivered |= set(got)
        send(delivery_commands.done(*PLACE, got))
    beyond = {id_.decode() for id_, _ in redis.xrange(STREAM, f"({target}", "+")}
    assert beyond <= delivered
    assert not redis.exists(f"syn:{{{STREAM}}}:lock:{GROUP}")
    assert int(redis.hget(COUNTERS, "parked") or 0) == 0
