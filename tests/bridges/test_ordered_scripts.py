"""Groups that keep an order: of each key one event is out at a time, and the next one is due when that has ended."""

import json

import pytest

from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import Failure
from tests.bridges.cast import (
    COPIES,
    COUNTERS,
    DUE,
    GROUP,
    LOCKS,
    PLACE,
    STREAM,
    made_by_us,
    make_due,
    parked,
    places,
    read_and_die,
)


@pytest.fixture
def group(redis):
    """A group of ours over a stream that has nothing yet."""
    made_by_us(redis)


@pytest.fixture
def order(redis, group):
    """Publish events with these keys, a letter each; return their ids."""
    return lambda keys: [redis.xadd(STREAM, {"event_type": "order-placed", "customer": key}).decode() for key in keys]


@pytest.fixture
def read(send):
    """Read as a consumer; return the ids that are to be delivered."""

    def ids(consumer="me", limit=100, mode="key", **options):
        command = delivery_commands.read(*PLACE, consumer, limit=limit, order=mode, key="customer", **options)
        return [event.id for event in send(command).events]

    return ids


@pytest.fixture
def lease(send):
    return lambda **options: (
        send(
            delivery_commands.lease(*PLACE, "me", **{"limit": 100, "lease_ms": 60_000, "most_attempts": 3, **options})
        ).events
    )


def fail(send, id_, token="", **options):
    one = Failure(id=id_, token=token, **{"error": "no", "took_ms": 1, "delay_ms": 1000, **options})
    return send(delivery_commands.fail(*PLACE, [one]))[0]


def test_an_event_blocks_later_events_of_its_key(redis, order, read):
    ids = order("abac")

    assert read() == [ids[0], ids[1], ids[3]]

    assert parked(redis) == [ids[2]]
    assert places(redis) == {"pending": 3, "parked": 1}


def test_the_next_event_of_a_key_is_due_when_the_one_before_is_acknowledged(redis, send, order, read, lease):
    ids = order("aaa")
    assert read() == ids[:1]

    for id_, following in zip(ids, [*ids[1:], None], strict=True):
        assert send(delivery_commands.done(*PLACE, [id_])) == 1
        events = lease()
        assert [(event.id, event.attempt) for event in events] == ([(following, 1)] if following else [])
    assert places(redis) == {"done": 3}
    assert redis.exists(LOCKS, COPIES, DUE) == 0


def test_acknowledging_an_event_again_frees_no_further_event_of_its_key(redis, send, order, read):
    ids = order("aaa")
    read()

    assert [send(delivery_commands.done(*PLACE, ids[:1])) for _ in range(3)] == [1, 0, 0]

    assert redis.zcard(DUE) == 1
    assert parked(redis) == ids[2:]


def test_an_event_blocked_by_its_key_cannot_be_acknowledged(redis, send, order, read):
    ids = order("aa")
    read()

    assert send(delivery_commands.done(*PLACE, ids[1:])) == 0
    assert places(redis) == {"pending": 1, "parked": 1}


def test_a_silent_consumer_cannot_acknowledge_an_event_that_another_has_leased(redis, send, order, read, lease):
    first, _ = order("aa")
    read("one")
    send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))
    (held,) = lease()

    late = delivery_commands.done(*PLACE, [first], tokens=[""])
    assert send(late) == 0
    assert places(redis) == {"waiting": 1, "parked": 1}

    assert send(delivery_commands.done(*PLACE, [first], tokens=[held.token])) == 1
    assert places(redis) == {"waiting": 1, "done": 1}


def test_a_silent_consumer_can_acknowledge_a_reclaimed_event_that_is_not_leased(redis, send, order, read):
    first, _ = order("aa")
    read("one")
    send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))

    assert send(delivery_commands.done(*PLACE, [first], tokens=[""])) == 1

    assert places(redis) == {"waiting": 1, "done": 1}


def test_an_event_scheduled_for_retry_blocks_later_events_of_its_key(redis, send, order, read, lease):
    ids = order("aab")
    read()

    assert fail(send, ids[0]) == "retry"
    assert read() == []
    order("a")
    assert read() == []
    make_due(redis)

    assert [event.id for event in lease()] == ids[:1]


@pytest.mark.parametrize("how", ["fatal", "died"])
def test_a_dead_letter_frees_its_key(redis, send, order, read, lease, how):
    ids = order("aa")
    read()
    if how == "fatal":
        assert fail(send, ids[0], fatal=True) == "dead"
    else:
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))
        lease(lease_ms=0)
        lease(lease_ms=0)
        lease(lease_ms=0)

    assert [event.id for event in lease()] == ids[1:]
    assert places(redis) == {"waiting": 1, "dead": 1}


def test_an_event_of_a_dead_consumer_blocks_its_key_until_it_is_delivered(redis, send, order, read, lease):
    ids = order("aa")
    read("dead")
    send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))

    (event,) = lease()
    assert (event.id, event.attempt) == (ids[0], 2)
    send(delivery_commands.done(*PLACE, [event.id]))
    assert [event.id for event in lease()] == ids[1:]


def test_a_released_event_keeps_its_turn(redis, send, order, read, lease):
    ids = order("aa")
    read()

    send(delivery_commands.release(*PLACE, "me", [(ids[0], "")]))

    assert [event.id for event in lease()] == ids[:1]


def test_two_readers_get_events_of_different_keys(redis, order, read):
    ids = order("abab")

    assert [read("one", limit=1), read("two", limit=1), read("one"), read("two")] == [[ids[0]], [ids[1]], [], []]
    assert places(redis) == {"pending": 2, "parked": 2}


def test_a_trim_keeps_events_blocked_by_key(redis, send, order, read, lease):
    ids = order("aa")
    read()
    redis.xtrim(STREAM, maxlen=0)
    send(delivery_commands.done(*PLACE, ids[:1]))

    (event,) = lease()
    assert (event.id, event.parts) == (ids[1], [b"event_type", b"order-placed", b"customer", b"a"])


@pytest.mark.parametrize("how", ["reclaim", "fail"])
def test_an_event_that_was_trimmed_while_it_held_its_key_is_lost_and_frees_it(redis, send, order, read, lease, how):
    ids = order("aa")
    read()
    redis.xdel(STREAM, ids[0])

    if how == "reclaim":
        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9)).lost == 1
    else:
        assert fail(send, ids[0]) == "lost"

    assert [event.id for event in lease()] == ids[1:]
    assert places(redis) == {"waiting": 1, "lost_trimmed": 1}


def test_a_copy_removed_by_another_program_frees_its_key(redis, send, order, read, lease):
    ids = order("aa")
    read()
    fail(send, ids[0], delay_ms=0)
    redis.hdel(COPIES, f"{ids[0]}:body")

    assert lease() == []
    assert [event.id for event in lease()] == ids[1:]


def test_an_event_without_the_key_has_no_order(redis, group, read):
    ids = [redis.xadd(STREAM, {"event_type": "order-placed"}).decode() for _ in range(3)]

    assert read() == ids


def test_mode_stream_gives_out_one_event_at_a_time_in_the_order_of_the_stream(redis, send, order, read):
    ids = order("abc")

    assert read(mode="stream") == ids[:1]
    assert read(mode="stream") == []
    send(delivery_commands.done(*PLACE, ids[:1]))
    assert read(mode="stream") == ids[1:2]
    assert places(redis) == {"done": 1, "pending": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"customer": "7"},
        {"payload": json.dumps({"customer": 7})},
        {"payload": json.dumps({"customer": "7"}), "event_type": "x"},
        {"customer": "7", "payload": json.dumps({"customer": 8})},
    ],
)
def test_the_key_is_found_in_every_form_of_an_entry(redis, group, read, fields):
    redis.xadd(STREAM, {"customer": "7"})
    redis.xadd(STREAM, fields)

    read()

    assert len(parked(redis)) == 1


@pytest.mark.parametrize(
    "payload", ["{", "[" * 5000, '{"customer": null}', '{"customer": {"id": 7}}', "7", '"customer"', "", b"\xff\x00"]
)
def test_events_whose_payload_has_no_key_are_not_ordered(redis, group, read, payload):
    ids = [redis.xadd(STREAM, {"payload": payload}).decode() for _ in range(2)]

    assert read() == ids


def test_large_numbers_are_keys_as_they_are_written(redis, group, read):
    redis.xadd(STREAM, {"customer": "1766570400123000"})
    redis.xadd(STREAM, {"payload": '{"customer": 1766570400123000}'})
    redis.xadd(STREAM, {"payload": '{"customer": 0.5}'})
    redis.xadd(STREAM, {"customer": "0.5"})

    assert len(read()) == 2


def test_keys_of_any_bytes_and_length_are_kept_apart(redis, send, group, read):
    keys = [b"\x00", b"", b"x" * 100_000, b"x" * 100_001, b"*:\r\n{a}"]
    ids = [redis.xadd(STREAM, {"customer": key}).decode() for key in keys * 2]

    assert read() == ids[:5]
    assert send(delivery_commands.done(*PLACE, ids[:5])) == 5
    assert {id_.decode() for id_ in redis.zrange(DUE, 0, -1)} == set(ids[5:])


def test_a_read_returns_the_number_of_entries_and_the_last_id_of_the_stream(send, order):
    ids = order("aaa")

    admitted = send(delivery_commands.read(*PLACE, "me", limit=2, order="key", key="customer"))
    assert (admitted.read, admitted.last_id, len(admitted.events)) == (2, ids[2], 1)
    send(delivery_commands.read(*PLACE, "me", limit=2, order="key", key="customer"))

    admitted = send(delivery_commands.read(*PLACE, "me", limit=2, order="key", key="customer"))
    assert (admitted.read, admitted.last_id, admitted.events) == (0, ids[2], [])


def test_reading_a_missing_group_fails_with_NOGROUP(redis, send):
    assert send(delivery_commands.read(*PLACE, "me", limit=1, order="key", key="x")).code == "NOGROUP"


class TestEventsOfOneKeyThatAreReadTogether:
    def test_are_given_out_together_and_none_is_blocked(self, redis, order, read):
        ids = order("aabab")

        assert read(together=True) == ids
        assert places(redis) == {"pending": 5}

    def test_are_acknowledged_together_and_leave_no_keys(self, redis, send, order, read):
        ids = order("aabab")
        read(together=True)

        assert send(delivery_commands.done(*PLACE, ids, tokens=[""] * 5)) == 5
        assert places(redis) == {"done": 5}
        assert redis.exists(LOCKS, COPIES, DUE) == 0

    def test_go_to_one_consumer_only(self, redis, order, read):
        ids = order("aaaa")

        assert read("one", limit=2, together=True) == ids[:2]
        assert read("two", together=True) == []
        assert parked(redis) == ids[2:]

    def test_wait_behind_the_one_that_failed_and_come_together_after_it(self, redis, send, order, read, lease):
        ids = order("aaaa")
        read(together=True)

        send(delivery_commands.done(*PLACE, ids[:1], tokens=[""]))
        assert send(delivery_commands.release(*PLACE, "me", [(ids[2], ""), (ids[3], "")])) == 2
        assert fail(send, ids[1], delay_ms=60_000) == "retry"
        assert places(redis) == {"done": 1, "waiting": 1, "parked": 2}
        assert lease(together=True) == []
        make_due(redis)
        assert [(event.id, event.attempt) for event in lease(together=True)] == [(ids[1], 2), (ids[2], 1), (ids[3], 1)]
        assert places(redis) == {"done": 1, "waiting": 3}

    def test_come_again_in_their_order_when_their_consumer_died(self, redis, send, order, read, lease):
        ids = order("aaa")
        read("dead", together=True)

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=2)).moved == 2
        order("a")
        read("me", together=True)
        assert [event.id for event in lease(together=True)] == ids[:2]
        send(delivery_commands.done(*PLACE, ids[:2]))
        assert lease(together=True) == []
        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9)).moved == 1
        assert [event.id for event in lease(limit=1, together=True)] == ids[2:]

    @pytest.mark.parametrize("how", ["lease over", "consumer gone"])
    def test_come_again_in_their_order_when_their_lease_ended(self, redis, send, order, read, lease, how):
        ids = order("a" * 12)
        read("dead", together=True)
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=99))
        if how == "lease over":
            assert len(lease(together=True, lease_ms=0)) == 12
        else:
            assert len(lease(together=True)) == 12
            assert send(delivery_commands.recall(*PLACE, "me", lease_ms=60_000, offset=0, limit=99)).ended == 12

        # As texts, ids of one millisecond are not in their order.
        assert [(event.id, event.attempt) for event in lease(limit=2, together=True, most_attempts=9)] == [
            (id_, 3) for id_ in ids[:2]
        ]

    def test_are_acknowledged_only_by_their_consumer_and_in_their_turn(self, redis, send, order, read, lease):
        ids = order("aaa")
        read("one", together=True)
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=1))
        (held,) = lease(limit=1)

        # The one who had all three, and was silent for too long, has a say in none.
        assert send(delivery_commands.done(*PLACE, ids, tokens=[""] * 3)) == 0
        assert send(delivery_commands.done(*PLACE, ids[:1], tokens=[held.token])) == 1
        assert places(redis) == {"done": 1, "pending": 2}

    def test_do_not_hold_up_others_when_they_are_filtered(self, redis, send, order, read):
        ids = order("aaa")
        read(together=True)

        assert send(delivery_commands.done(*PLACE, ids[1:2], counter="filtered")) == 1
        assert send(delivery_commands.done(*PLACE, [ids[0], ids[2]], tokens=["", ""])) == 2
        assert places(redis) == {"done": 2, "filtered": 1}

    def test_are_lost_alone_when_they_were_trimmed(self, redis, send, order, read, lease):
        ids = order("aaa")
        read("dead", together=True)
        redis.xdel(STREAM, ids[1])

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9)).lost == 1
        assert [event.id for event in lease(together=True)] == [ids[0], ids[2]]
        assert places(redis) == {"waiting": 2, "lost_trimmed": 1}

    @pytest.mark.parametrize("start", ["0", "behind them"])
    def test_keep_their_places_when_the_group_was_lost(self, redis, send, order, read, lease, start):
        ids = order("aaa")
        read("me", limit=2, together=True)
        read("two")
        redis.xgroup_destroy(*PLACE)
        place = "0" if start == "0" else ids[2]
        send(delivery_commands.join(*PLACE, "me", start=place, mode="any", run="run", owned=True))

        fresh = read(together=True)
        if start == "0":
            assert fresh == ids[:1]
            send(delivery_commands.done(*PLACE, ids[:1], tokens=[""]))
            assert [event.id for event in lease(together=True)] == ids[1:]
        else:
            assert fresh == []
            assert [event.id for event in lease(together=True)] == ids[2:]
        places(redis)

    def test_an_event_that_may_have_killed_its_worker_is_leased_alone_for_its_last_attempt(
        self, send, order, read, lease
    ):
        ids = order("aaa")
        read("dead", together=True)
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))

        assert [event.id for event in lease(together=True, most_attempts=2)] == ids[:1]
        send(delivery_commands.done(*PLACE, ids[:1]))
        assert [event.id for event in lease(together=True, most_attempts=2)] == ids[1:2]

    def test_in_the_order_of_the_stream_nothing_is_read_behind_them(self, redis, send, order, read, lease):
        ids = order("abcd")
        assert read("one", limit=3, mode="stream", together=True) == ids[:3]

        blocked = send(delivery_commands.read(*PLACE, "two", limit=9, order="stream", key="", together=True))
        assert (blocked.blocked, blocked.read, blocked.events) == (True, 0, [])
        fail(send, ids[0])
        assert read("two", mode="stream", together=True) == []
        send(delivery_commands.release(*PLACE, "one", [(ids[1], ""), (ids[2], "")]))
        make_due(redis)
        assert [event.id for event in lease(together=True)] == ids[:3]
        send(delivery_commands.done(*PLACE, ids[:3]))
        assert read("two", mode="stream", together=True) == ids[3:]

    def test_in_the_order_of_the_stream_are_read_again_when_the_group_was_lost(self, redis, send, order, read, lease):
        ids = order("abc")
        read("one", mode="stream", together=True)
        redis.xgroup_destroy(*PLACE)
        send(delivery_commands.join(*PLACE, "me", start="0", mode="again", run="run", owned=True))

        assert read(mode="stream", together=True) == ids[:1]
        send(delivery_commands.done(*PLACE, ids[:1], tokens=[""]))
        assert [event.id for event in lease(together=True)] == ids[1:]


class TestAGroupThatWasLost:
    def join(self, send, start="0", mode="again"):
        return send(delivery_commands.join(*PLACE, "me", start=start, mode=mode, run="run", owned=True))

    def test_gives_pending_events_once_more_and_keeps_the_rest_blocked(self, redis, send, order, read):
        ids = order("aab")
        read()
        redis.xgroup_destroy(*PLACE)

        self.join(send)

        assert read() == [ids[0], ids[2]]
        assert places(redis) == {"pending": 2, "parked": 1, "groups_recreated": 1}

    def test_delivers_no_event_twice_that_is_scheduled_for_retry(self, redis, send, order, read, lease):
        ids = order("ab")
        read()
        fail(send, ids[0], delay_ms=0)
        redis.xgroup_destroy(*PLACE)

        self.join(send)

        assert read() == ids[1:]
        assert [event.id for event in lease()] == ids[:1]

    def test_frees_the_keys_of_what_is_gone(self, redis, send, order, read, lease):
        ids = order("aa")
        read()
        redis.xgroup_destroy(*PLACE)
        redis.xdel(STREAM, ids[0])

        self.join(send)

        assert read() == []
        assert [event.id for event in lease()] == ids[1:]
        assert redis.hget(COUNTERS, "lost_trimmed") == b"1"

    def test_frees_the_keys_of_what_lies_before_its_new_beginning(self, redis, send, order, read, lease):
        ids = order("aa")
        read()
        redis.xgroup_destroy(*PLACE)

        self.join(send, start="$", mode="any")

        assert [event.id for event in lease()] == ids[1:]
        assert places(redis) == {"waiting": 1}

    def test_can_be_the_whole_server(self, redis, send, order, read):
        order("aa")
        read()
        redis.flushall()
        self.join(send)

        assert read() == []
        assert redis.exists(LOCKS, COPIES) == 0


def test_a_group_that_is_no_longer_ordered_frees_blocked_events(redis, send, order, lease):
    ids = order("aa")
    send(delivery_commands.read(*PLACE, "me", limit=9, order="key", key="customer"))
    ids += order("a")

    assert read_and_die(redis, "me") == ids[2:]
    send(delivery_commands.done(*PLACE, [ids[0], ids[2]]))

    assert [event.id for event in lease()] == ids[1:2]


def test_a_redelivered_dead_letter_takes_no_key(redis, send, order, read, lease):
    ids = order("aa")
    read()
    fail(send, ids[0], fatal=True)
    (letter,) = send(dead_letter_commands.letters(*PLACE, count=9))

    assert send(dead_letter_commands.replay(*PLACE, [(letter.id, b"")])) == ["retry"]

    assert {event.id for event in lease()} == set(ids)
    assert send(delivery_commands.done(*PLACE, ids)) == 2
    assert redis.exists(LOCKS, COPIES) == 0


def test_the_keys_of_an_ordered_group_are_in_the_slot_of_its_stream(redis, send, order, read):
    order("aa")
    read()
    send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))

    assert all(key == STREAM.encode() or b"{orders}" in key for key in redis.scan_iter())
    assert any(key.endswith(f":{GROUP}".encode()) and b":queue:" in key for key in redis.scan_iter())
