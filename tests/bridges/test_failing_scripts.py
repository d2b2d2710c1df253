"""Failed attempts: each event waits for its next one, until there is none. Saying it twice changes nothing."""

import pytest

from synapse.delivery.webhooks import messages
from synapse.delivery.webhooks.messages import Answer
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.dead_letters import Attempt
from synapse.redis.commands.delivery import Failure
from tests.bridges.cast import (
    COPIES,
    COUNTERS,
    DEAD,
    DUE,
    PLACE,
    STREAM,
    made_by_us,
    make_due,
    now_ms,
    pend,
    places,
    publish,
    read_and_die,
    wait,
)
from tests.tables import for_each


@pytest.fixture
def fail(send):
    """Say that attempts failed: `fail(id, token="")`."""

    def say(*ids, token="", **options):
        values = {"error": "no stock", "took_ms": 7, "delay_ms": 1000, **options}
        failures = [Failure(id=id_, token=token, **values) for id_ in ids]
        return send(delivery_commands.fail(*PLACE, failures))

    return say


@pytest.fixture
def lease(send):
    """Lease the due events as the consumer `me`."""
    return lambda most=3, **options: send(
        delivery_commands.lease(*PLACE, "me", **{"limit": 100, "lease_ms": 60_000, **options}, most_attempts=most)
    )


@pytest.fixture
def letters(send):
    """Read the dead letters, newest first."""
    return lambda: send(dead_letter_commands.letters(*PLACE, count=100))


def test_a_pending_event_that_failed_is_leased_after_its_delay(redis, fail, lease):
    ids = pend(redis, 2)
    before = now_ms(redis)

    assert fail(ids[0]) == ["retry"]

    assert places(redis) == {"pending": 1, "waiting": 1}
    assert before + 1000 <= redis.zscore(DUE, ids[0]) <= now_ms(redis) + 1000
    assert lease().events == []
    make_due(redis)
    (event,) = lease().events
    assert (event.id, event.attempt) == (ids[0], 2)
    assert redis.hget(COUNTERS, "retried") == b"1"


def test_a_leased_event_that_failed_is_scheduled_again(redis, fail, lease):
    (id_,) = pend(redis, 1)
    fail(id_)
    make_due(redis)

    assert fail(id_, token=lease().events[0].token) == ["retry"]
    make_due(redis)

    assert lease().events[0].attempt == 3


def test_reporting_a_failure_again_after_a_lost_reply_changes_nothing(redis, fail, lease):
    (id_,) = pend(redis, 1)

    assert fail(id_) == ["retry"]
    assert fail(id_) == ["stale"]
    make_due(redis)
    token = lease().events[0].token
    assert fail(id_, token=token) == ["retry"]
    assert fail(id_, token=token) == ["stale"]
    assert redis.hget(COPIES, f"{id_}:att") == b"2"
    assert places(redis) == {"waiting": 1}


def test_a_failure_reported_after_another_consumer_leased_the_event_is_stale(redis, send, fail, lease):
    (id_,) = wait(redis, send, 1)

    mine = lease(lease_ms=0).events[0]
    others = lease().events[0]

    assert mine.token != others.token
    assert fail(id_) == ["stale"]
    assert fail(id_, token=mine.token) == ["stale"]
    assert fail(id_, token=others.token) == ["retry"]


def test_the_last_attempt_makes_a_dead_letter_with_all_that_is_known(redis, fail, lease, letters):
    (id_,) = pend(redis, 1)
    before = now_ms(redis)
    fail(id_, error="first", took_ms=1)
    make_due(redis)
    fail(id_, token=lease().events[0].token, error="second", took_ms=2)
    make_due(redis)

    assert fail(id_, token=lease().events[0].token, error="third", took_ms=3, fatal=True) == ["dead"]

    assert places(redis) == {"dead": 1}
    (letter,) = letters()
    assert (letter.event_id, letter.error, letter.count) == (id_, "third", 3)
    assert letter.parts == [b"event_type", b"order-placed", b"n", b"0"]
    assert [(one.number, one.took_ms, one.error) for one in letter.attempts] == [
        (1, 1, "first"),
        (2, 2, "second"),
        (3, 3, "third"),
    ]
    assert before <= letter.first_ms == letter.attempts[0].at_ms <= letter.last_ms <= now_ms(redis)


def test_an_event_that_no_attempt_can_deliver_is_a_dead_letter_at_once(redis, fail, letters):
    ids = pend(redis, 2)

    assert fail(ids[0], fatal=True) == ["dead"]
    assert fail(ids[0], fatal=True) == ["stale"]

    assert [letter.event_id for letter in letters()] == [ids[0]]
    assert places(redis) == {"pending": 1, "dead": 1}


def test_an_event_without_a_limit_of_attempts_is_always_retried(redis, fail, lease):
    (id_,) = pend(redis, 1)
    assert fail(id_) == ["retry"]
    for _ in range(20):
        make_due(redis)
        assert fail(id_, token=lease(0).events[0].token) == ["retry"]


def test_the_last_ten_attempts_are_kept_and_the_time_of_the_first(redis, fail, lease, letters):
    (id_,) = pend(redis, 1)
    fail(id_, error="error 1")
    first = int(redis.hget(COPIES, f"{id_}:first"))
    for number in range(2, 13):
        make_due(redis)
        fail(id_, token=lease(12).events[0].token, error=f"error {number}", fatal=number == 12)

    (letter,) = letters()

    assert [one.error for one in letter.attempts] == [f"error {number}" for number in range(3, 13)]
    assert letter.count == 12
    assert letter.first_ms == first


def test_an_error_of_any_characters_and_length_is_stored(redis, fail, letters):
    (id_,) = pend(redis, 1)
    error = "3:a,\n\x00“quoted” \ud800" + "x" * 5000

    fail(id_, error=error, fatal=True)

    (letter,) = letters()
    assert letter.error == error[:999].replace("\ud800", "?") + "…"
    assert letter.attempts[0] == Attempt(at_ms=letter.first_ms, number=1, took_ms=7, error=letter.error)


def test_hundreds_of_failures_reported_at_once_each_get_their_own_outcome(redis, fail):
    ids = pend(redis, 500)

    assert fail(*ids[:300], "1-1", *ids[300:]) == ["retry"] * 300 + ["stale"] + ["retry"] * 200
    assert places(redis) == {"waiting": 500}


def test_an_event_that_was_trimmed_meanwhile_is_lost_and_counted(redis, fail):
    ids = pend(redis, 2)
    redis.xdel(STREAM, ids[0])

    assert fail(*ids) == ["lost", "retry"]
    assert places(redis) == {"waiting": 1, "lost_trimmed": 1}


def test_an_event_scheduled_for_retry_survives_a_trim(redis, fail, lease, letters):
    ids = pend(redis, 2)
    fail(*ids)
    redis.delete(STREAM)
    make_due(redis)

    events = lease().events
    assert [event.parts[-1] for event in events] == [b"0", b"1"]
    assert fail(ids[0], token=events[0].token, fatal=True) == ["dead"]
    assert letters()[0].parts == events[0].parts


def test_the_dead_letter_of_an_entry_with_ten_thousand_fields_has_all_of_them(redis, fail, letters):
    made_by_us(redis)
    fields = {f"field {n}\r\n": bytes([n % 256]) for n in range(10_000)}
    redis.xadd(STREAM, fields)
    (id_,) = read_and_die(redis, "reader")

    assert fail(id_, fatal=True) == ["dead"]

    (letter,) = letters()
    assert letter.parts[1::2] == list(fields.values())


def test_an_event_whose_worker_dies_on_every_attempt_is_a_dead_letter_after_the_last(redis, send, lease, letters):
    (id_,) = wait(redis, send, 1)
    attempts = []
    while not (leased := lease(4, lease_ms=0)).dead:
        attempts += [event.attempt for event in leased.events]

    assert attempts == [2, 3, 4]
    assert (leased.dead, leased.events) == (1, [])
    (letter,) = letters()
    assert (letter.event_id, letter.error, letter.count) == (id_, "worker died on every attempt", 4)
    assert {one.error for one in letter.attempts} == {"nobody answered before the lease ended"}
    assert places(redis) == {"dead": 1}


def test_a_dead_letter_tells_a_died_worker_from_earlier_failures(redis, fail, lease, letters):
    (id_,) = pend(redis, 1)
    fail(id_)
    make_due(redis)
    lease(2, lease_ms=0)

    assert lease(2).dead == 1
    assert letters()[0].error == "worker died on the last attempt"
    assert [one.error for one in letters()[0].attempts] == ["no stock", "nobody answered before the lease ended"]
    assert id_ == letters()[0].event_id


def test_an_event_with_more_attempts_than_a_lowered_limit_is_a_dead_letter(redis, fail, lease, letters):
    (id_,) = pend(redis, 1)
    fail(id_)
    make_due(redis)

    assert lease(1).dead == 1
    assert letters()[0].error == "no attempt is left"
    assert id_ == letters()[0].event_id


def test_events_that_may_have_killed_workers_are_leased_singly_for_their_last_attempt(redis, send, lease):
    ids = wait(redis, send, 3)

    assert len(lease(3, lease_ms=0).events) == 3
    alone = [[event.id for event in lease(3).events] for _ in range(3)]

    assert alone == [[id_] for id_ in ids]


def test_a_consumer_extends_only_its_own_leases(redis, send, lease):
    waiting = wait(redis, send, 1)
    publish(redis, 2)
    mine, others = read_and_die(redis, "me", count=1), read_and_die(redis, "another", count=1)
    lease(lease_ms=1000)

    asked = delivery_commands.extend(*PLACE, [waiting[0], mine[0], others[0], "1-1"], lease_ms=60_000, consumer="me")
    assert send(asked) == [True, True, False, False]

    assert all(redis.zscore(DUE, id_) > now_ms(redis) + 50_000 for id_ in (waiting[0], mine[0]))
    assert redis.hget(COPIES, f"{mine[0]}:att") == b"1"
    assert places(redis) == {"pending": 1, "waiting": 2}


def test_extending_leaves_a_trimmed_entry_to_be_counted(redis, send):
    ids = pend(redis, 1, consumer="me")
    redis.xdel(STREAM, ids[0])

    assert send(delivery_commands.extend(*PLACE, ids, lease_ms=1)) == [False]
    assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9)).lost == 1


def test_silent_consumers_without_pending_events_are_removed(redis, send):
    made_by_us(redis)
    publish(redis, 1)
    read_and_die(redis, "busy")
    for name in ("idle", "idle too", "me"):
        redis.xgroup_createconsumer(*PLACE, name)

    assert send(delivery_commands.clean(*PLACE, keep="me", idle_ms=60_000)) == 0
    assert send(delivery_commands.clean(*PLACE, keep="me", idle_ms=0)) == 2
    assert {row["name"] for row in redis.xinfo_consumers(*PLACE)} == {b"busy", b"me"}


def test_consumers_of_a_group_that_another_program_made_are_not_removed(redis, send):
    redis.xgroup_create(*PLACE, "0", mkstream=True)
    redis.xgroup_createconsumer(*PLACE, "theirs")

    assert send(delivery_commands.clean(*PLACE, keep="me", idle_ms=0)) == 0
    assert len(redis.xinfo_consumers(*PLACE)) == 1


class TestDeadLetters:
    @pytest.fixture
    def dead(self, redis, fail):
        """Three dead letters; their events' ids."""
        ids = pend(redis, 3)
        fail(*ids, fatal=True)
        return ids

    def replay(self, send, found, body=b"", **options):
        return send(dead_letter_commands.replay(*PLACE, [(letter.id, body) for letter in found], **options))

    def test_are_read_newest_first_and_page_by_page(self, send, dead, letters):
        assert [letter.event_id for letter in letters()] == dead[::-1]
        (newest,) = send(dead_letter_commands.letters(*PLACE, count=1))
        rest = send(dead_letter_commands.letters(*PLACE, count=100, past=newest.id))
        assert [letter.event_id for letter in rest] == dead[1::-1]
        assert send(dead_letter_commands.letter(*PLACE, newest.id)) == [newest]
        assert send(dead_letter_commands.letter(*PLACE, "5-5")) == []
        assert send(dead_letter_commands.count(*PLACE)) == 3

    def test_go_back_with_all_attempts_before_them_and_with_what_was_noted(
        self, redis, send, dead, letters, lease, fail
    ):
        found = letters()

        assert self.replay(send, found[:2]) == ["retry", "retry"]
        assert self.replay(send, found[:2]) == ["gone", "gone"]

        assert places(redis) == {"waiting": 2, "dead": 3}
        assert [letter.event_id for letter in letters()] == dead[:1]
        events = lease().events
        assert [(event.id, event.attempt) for event in events] == [(dead[1], 1), (dead[2], 1)]
        fail(dead[1], token=events[0].token, fatal=True)
        assert [one.number for one in letters()[0].attempts] == [1, 1]
        assert letters()[0].first_ms == found[1].first_ms

    def test_go_back_one_after_the_other(self, redis, send, dead, letters):
        before = now_ms(redis)

        self.replay(send, letters(), delay_ms=100, step_ms=250.5)

        due = sorted(score - before for _, score in redis.zrange(DUE, 0, -1, withscores=True))
        assert 100 <= due[0] <= 100 + now_ms(redis) - before
        assert 250 <= due[1] - due[0] <= 251
        assert 500 <= due[2] - due[0] <= 501

    def test_go_back_with_another_body(self, send, dead, letters, lease):
        body = b"".join(map(delivery_commands.netstring, [b"event_type", b"order-placed", b"n", b"seven"]))

        self.replay(send, letters()[:1], body)

        assert lease().events[0].parts[-1] == b"seven"

    def test_stay_while_the_same_event_is_on_its_way(self, redis, send, dead, letters):
        redis.xgroup_setid(*PLACE, "0")
        read_and_die(redis, "reader")
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=9))

        assert self.replay(send, letters()) == ["waiting"] * 3
        assert len(letters()) == 3

    def test_dead_letters_written_by_other_programs_are_listed_and_not_redriven(self, redis, send, letters):
        redis.xadd(DEAD, {"id": "x", "body": b"x:7,", "hist": b"\xff", "att": "many"})

        (letter,) = letters()

        assert (letter.event_id, letter.parts, letter.attempts, letter.count) == ("x", [], (), 0)
        assert self.replay(send, [letter]) == ["broken"]

    def test_can_be_discarded(self, redis, send, dead, letters):
        ids = [letter.id for letter in letters()]

        assert send(dead_letter_commands.discard(*PLACE, ids[:2])) == 2
        assert send(dead_letter_commands.discard(*PLACE, ids[:2])) == 0

        assert [letter.event_id for letter in letters()] == dead[:1]
        assert places(redis) == {"dead": 3, "discarded": 2}


def test_each_failed_attempt_is_counted_once_by_its_kind(redis, fail, lease):
    ids = pend(redis, 3)
    fail(ids[0], failure="timeout")
    fail(ids[1], failure="http-5xx", fatal=True)
    fail(ids[1], failure="http-5xx", fatal=True)  # told twice
    fail(ids[2], failure="timeout")
    make_due(redis)
    lease()
    make_due(redis)
    lease(most=2)

    counted = {name.decode(): int(count) for name, count in redis.hgetall(COUNTERS).items() if count.isdigit()}
    kinds = {name: count for name, count in counted.items() if name.startswith("failed:")}
    assert kinds == {"failed:timeout": 2, "failed:http-5xx": 1, "failed:worker-died": 2}
    assert sum(kinds.values()) == counted["retried"] + counted["dead"]


@for_each("status, kind", [(302, "http-3xx"), (404, "http-4xx"), (429, "http-4xx"), (503, "http-5xx"), (100, "other")])
def test_a_status_of_a_receiver_is_counted_by_its_first_digit(status, kind):
    answer = Answer(status=status, text="", ms=1)

    assert messages.error_of(answer, permanent=(404,), now=0).failure == kind
