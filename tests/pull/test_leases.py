"""Unacknowledged events are delivered again when their lease is over or when they are nacked, and not before."""

from contextlib import contextmanager

import pytest

from synapse.redis import keyspace
from tests.bridges.cast import now_ms
from tests.pull.cast import GROUP, PLACE, STREAM


@pytest.fixture(autouse=True)
def always_looked_after(monkeypatch):
    """Every read reclaims expired leases, not only the first read of a second."""
    monkeypatch.setattr("bridges.pull.poll.RECLAIM_EVERY", 0)
    monkeypatch.setattr("bridges.pull.poll.CLEAN_EVERY", 0)
    monkeypatch.setattr("bridges.pull.poll.CHECKPOINT_EVERY", 0)


@pytest.fixture(autouse=True)
def pulled(group):
    """The group is there; an event has three attempts."""
    group(max_attempts=3, backoff_base_seconds=60)


def let_the_lease_end(redis, *ids):
    """Let the lease of events in hand be over."""
    for id_ in ids:
        if redis.zscore(keyspace.waiting(*PLACE), id_) is None:
            redis.xclaim(STREAM, GROUP, "gone", 0, [id_], idle=300_001, justid=True)
        else:
            redis.zadd(keyspace.waiting(*PLACE), {id_: 0})


@contextmanager
def delivered_again(redis, id_, least, most=None):
    """Check that the block schedules an event for retry after `least` seconds, or from `least` to `most`."""
    begun = now_ms(redis)
    yield
    due = redis.zscore(keyspace.waiting(*PLACE), id_)
    assert begun + least * 1000 <= due <= now_ms(redis) + (most or least) * 1000


def dead(redis):
    return [entry for _, entry in redis.xrange(keyspace.dead_letters(*PLACE))]


@pytest.fixture
def worker(puller):
    return puller()


@pytest.fixture
def in_hand(worker):
    """An event that a consumer has."""
    id_ = worker.publish(1)
    assert worker.ids() == [id_]
    return id_


def test_an_event_in_flight_is_not_given_to_another_consumer(worker, puller, in_hand):
    assert puller("other").ids() == []


def test_an_event_not_acknowledged_within_its_lease_goes_to_another_consumer(worker, puller, redis, in_hand):
    let_the_lease_end(redis, in_hand)

    with delivered_again(redis, in_hand, 300):
        (event,) = puller("other").read()

    assert (event["entry_id"], event["attempt"]) == (in_hand, 2)


def test_an_event_leased_again_may_still_be_acknowledged_by_its_first_consumer(worker, puller, redis, in_hand):
    let_the_lease_end(redis, in_hand)
    puller("other").read()

    assert worker.ack(in_hand) == 1
    assert puller("other").ack(in_hand) == 0


def test_an_event_whose_lease_ends_on_every_attempt_becomes_a_dead_letter(worker, redis, in_hand):
    for attempt in (2, 3):
        let_the_lease_end(redis, in_hand)
        assert [event["attempt"] for event in worker.read()] == [attempt]
    let_the_lease_end(redis, in_hand)

    assert worker.read() == []
    assert [letter[b"err"] for letter in dead(redis)] == [b"worker died on every attempt"]


def test_a_nacked_event_waits_by_the_retry_policy_of_the_group(worker, redis, in_hand):
    with delivered_again(redis, in_hand, 30, 60):
        answer = worker.tell("nack", in_hand, reason="no paper")

    assert answer == {"nacked": 1, "dead": [], "lost": [], "not_held": []}
    assert worker.read() == []


def test_an_event_nacked_without_delay_comes_at_once_with_the_next_attempt(worker, in_hand):
    worker.tell("nack", in_hand, delay_ms=0)

    (event,) = worker.read()

    assert event["attempt"] == 2


def test_an_event_nacked_with_a_delay_waits_for_that_delay(worker, redis, in_hand):
    with delivered_again(redis, in_hand, 120):
        worker.tell("nack", in_hand, delay_ms=120_000)


def test_a_leased_event_can_be_nacked_too(worker, redis, in_hand):
    worker.tell("nack", in_hand, delay_ms=0)
    worker.read()

    assert worker.tell("nack", in_hand, delay_ms=0)["nacked"] == 1
    assert [event["attempt"] for event in worker.read()] == [3]


def test_an_event_nacked_on_its_last_attempt_is_a_dead_letter_with_all_reasons(worker, redis, in_hand):
    for attempt in (1, 2):
        worker.tell("nack", in_hand, delay_ms=0, reason=f"reason {attempt}")
        worker.read()

    answer = worker.tell("nack", in_hand, delay_ms=0, reason="reason 3")

    assert (answer["nacked"], answer["dead"]) == (1, [in_hand])
    (letter,) = dead(redis)
    assert letter[b"err"] == b"reason 3"
    assert letter[b"att"] == b"3"
    assert all(b"reason %d" % n in letter[b"hist"] for n in (1, 2, 3))


def test_a_hopeless_event_is_a_dead_letter_at_once(worker, redis, in_hand):
    answer = worker.tell("nack", in_hand, dead=True, reason="no such order")

    assert answer["dead"] == [in_hand]
    assert [letter[b"err"] for letter in dead(redis)] == [b"no such order"]
    assert worker.ack(in_hand) == 0


def test_an_event_not_in_flight_cannot_be_nacked(worker, in_hand):
    worker.ack(in_hand)

    answer = worker.tell("nack", in_hand, "1-1")

    assert answer == {"nacked": 0, "dead": [], "lost": [], "not_held": [in_hand, "1-1"]}


def test_a_nack_with_a_consumer_name_affects_only_events_of_that_consumer(worker, puller, redis, in_hand):
    let_the_lease_end(redis, in_hand)
    puller("other").read()

    assert worker.tell("nack", in_hand, consumer_name="worker-1")["not_held"] == [in_hand]
    assert worker.tell("nack", in_hand, consumer_name="other")["nacked"] == 1


def test_a_nacked_event_that_was_trimmed_is_answered_and_counted_as_lost(worker, redis, in_hand):
    redis.xtrim(STREAM, maxlen=0)

    answer = worker.tell("nack", in_hand)

    assert (answer["nacked"], answer["lost"]) == (0, [in_hand])
    assert redis.hget(keyspace.counters(*PLACE), "lost_trimmed") == b"1"


def test_an_extended_lease_keeps_the_event_in_flight(worker, puller, redis, in_hand):
    let_the_lease_end(redis, in_hand)

    with delivered_again(redis, in_hand, 900):
        answer = worker.tell("extend", in_hand, lease_ms=900_000)

    assert answer == {"extended": 1, "lease_ms": 900_000, "not_held": []}
    assert puller("other").read() == []
    assert worker.ack(in_hand) == 1
    assert redis.exists(keyspace.waiting(*PLACE), keyspace.messages(*PLACE)) == 0


def test_a_lease_extended_without_a_time_lasts_as_long_as_the_lease_of_the_group(worker, redis, in_hand):
    worker.tell("nack", in_hand, delay_ms=0)
    worker.read()
    redis.zadd(keyspace.waiting(*PLACE), {in_hand: 0})

    with delivered_again(redis, in_hand, 300):
        assert worker.tell("extend", in_hand) == {"extended": 1, "lease_ms": 300_000, "not_held": []}


def test_the_end_of_a_prolonged_lease_is_an_attempt(worker, puller, redis, in_hand):
    worker.tell("extend", in_hand, lease_ms=1000)
    let_the_lease_end(redis, in_hand)

    (event,) = puller("other").read()

    assert event["attempt"] == 2
    assert worker.tell("extend", in_hand, consumer_name="worker-1")["not_held"] == [in_hand]
    assert worker.tell("extend", in_hand, consumer_name="other")["extended"] == 1


def test_an_event_not_in_flight_cannot_be_extended(worker, redis, in_hand):
    later = worker.publish(2)
    worker.tell("nack", in_hand, delay_ms=60_000)

    assert worker.tell("extend", in_hand, later, "1-1")["not_held"] == [in_hand, later, "1-1"]


def test_silent_consumers_without_events_in_flight_are_removed(worker, redis, in_hand, monkeypatch):
    redis.xgroup_createconsumer(STREAM, GROUP, "gone")
    monkeypatch.setattr("bridges.pull.poll._FORGOTTEN_MS", 0)
    worker.ack(in_hand)

    worker.read()

    assert [row["name"] for row in redis.xinfo_consumers(STREAM, GROUP)] == [b"worker-1"]


def test_a_group_that_was_lost_is_made_again_where_it_was_and_counted(worker, redis, in_hand):
    worker.ack(in_hand)
    later = worker.publish(2)
    worker.read()
    worker.read()
    redis.xgroup_destroy(STREAM, GROUP)

    assert worker.ids() == [later]
    assert redis.hget(keyspace.counters(*PLACE), "groups_recreated") == b"1"


def test_a_redis_that_lost_everything_is_read_again(worker, redis, in_hand):
    redis.flushall()
    later = worker.publish(2)

    assert worker.ids() == [later]
