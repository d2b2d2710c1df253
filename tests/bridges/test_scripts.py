"""The scripts of delivery, each alone: an event is in one place before, and in one place after."""

from synapse.redis import ReplyError
from synapse.redis.commands import (
    delivery as delivery_commands,
)
from synapse.redis.commands import participants
from synapse.redis.commands import (
    streams as stream_commands,
)
from synapse.redis.commands.delivery import (
    InFlightEvent,
    JoinResult,
    LeaseResult,
    RecallResult,
    ReclaimResult,
    netstrings,
)
from tests.bridges.cast import (
    COPIES,
    COUNTERS,
    DUE,
    GROUP,
    PLACE,
    STREAM,
    made_by_us,
    now_ms,
    pend,
    places,
    publish,
    read_and_die,
    wait,
)


class TestJoin:
    def join(self, send, mode="any", start="0", run="run", owned=False):
        return send(delivery_commands.join(*PLACE, "me", start=start, mode=mode, run=run, owned=owned))

    def test_makes_the_group_and_the_consumer(self, redis, send):
        assert self.join(send) == JoinResult(created=True, ours=True)
        assert [row["name"] for row in redis.xinfo_consumers(*PLACE)] == [b"me"]

    def test_joins_a_group_that_is_there_where_it_is(self, redis, send):
        ids = pend(redis, 2)

        assert self.join(send) == JoinResult(created=False, ours=True)
        assert redis.xinfo_groups(STREAM)[0]["last-delivered-id"].decode() == ids[1]

    def test_tells_a_group_that_others_made(self, redis, send):
        redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)

        assert self.join(send) == JoinResult(created=False, ours=False)

    def test_takes_over_a_group_that_is_ours_by_its_definition(self, redis, send):
        redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)

        assert self.join(send, owned=True) == JoinResult(created=False, ours=True)
        assert self.join(send, run="another") == JoinResult(created=False, ours=True)

    def test_leaves_a_group_as_it_is_that_should_be_new(self, redis, send):
        made_by_us(redis)

        assert self.join(send, mode="new").created is False
        assert redis.xinfo_consumers(*PLACE) == []

    def test_knows_its_own_new_group_when_it_asks_again(self, send):
        assert self.join(send, mode="new").created is True
        assert self.join(send, mode="new").created is True
        assert self.join(send, mode="new", run="another").created is False

    def test_counts_a_group_that_it_had_to_make_again(self, redis, send):
        self.join(send)
        self.join(send, mode="again")
        assert redis.hget(COUNTERS, "groups_recreated") is None
        redis.delete(STREAM)

        assert self.join(send, mode="again") == JoinResult(created=True, ours=True)
        assert redis.hget(COUNTERS, "groups_recreated") == b"1"

    def test_answers_what_redis_says_of_a_key_that_is_no_stream(self, redis, send):
        redis.set(STREAM, "text")

        reply = self.join(send)

        assert isinstance(reply, ReplyError)
        assert reply.code == "WRONGTYPE"
        assert redis.exists(COUNTERS) == 0


class TestDone:
    def test_acknowledges_pending_and_waiting_events_and_counts_each_once(self, redis, send):
        waiting = wait(redis, send, 2)
        publish(redis, 3)
        pending = read_and_die(redis, "reader")
        ids = [*waiting, *pending]

        assert send(delivery_commands.done(*PLACE, ids)) == 5
        assert send(delivery_commands.done(*PLACE, ids)) == 0
        assert places(redis) == {"done": 5}
        assert redis.exists(DUE, COPIES) == 0

    def test_counts_what_is_not_wanted_by_itself(self, redis, send):
        ids = pend(redis, 3)

        assert send(delivery_commands.done(*PLACE, ids[:2], counter="filtered")) == 2
        assert places(redis) == {"pending": 1, "filtered": 2}

    def test_leaves_the_others_alone(self, redis, send):
        ids = wait(redis, send, 3)

        assert send(delivery_commands.done(*PLACE, ids[1:2])) == 1
        assert places(redis) == {"waiting": 2, "done": 1}

    def test_takes_thousands_of_ids(self, redis, send):
        ids = pend(redis, 5000)
        waiting = ids[:100]
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100))

        assert send(delivery_commands.done(*PLACE, ids)) == 5000
        assert len(waiting) == 100
        assert places(redis) == {"done": 5000}

    def test_acknowledges_no_event_in_a_group_that_is_gone(self, redis, send):
        assert send(delivery_commands.done(*PLACE, ["1-1"])) == 0
        assert redis.keys() == []


class TestReap:
    def test_moves_pending_events_to_those_that_wait_with_a_copy_due_now(self, redis, send):
        ids = pend(redis, 2)
        before = now_ms(redis)

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)) == ReclaimResult(moved=2, lost=0)

        assert places(redis) == {"waiting": 2}
        assert all(before <= due <= now_ms(redis) for _, due in redis.zrange(DUE, 0, -1, withscores=True))
        assert netstrings(redis.hget(COPIES, f"{ids[1]}:body")) == [b"event_type", b"order-placed", b"n", b"1"]
        assert redis.hget(COPIES, f"{ids[1]}:att") == b"1"

    def test_leaves_what_was_read_a_moment_ago(self, redis, send):
        pend(redis, 2)

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=60_000, limit=100)) == ReclaimResult(moved=0, lost=0)
        assert places(redis) == {"pending": 2}

    def test_takes_back_from_one_consumer_alone_and_no_more_than_asked(self, redis, send):
        mine = pend(redis, 3)
        publish(redis, 2)
        read_and_die(redis, "another")

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=2, consumer="reader")).moved == 2
        assert [id_.decode() for id_ in redis.zrange(DUE, 0, -1)] == mine[:2]
        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=2, consumer="nobody")).moved == 0
        assert places(redis) == {"waiting": 2, "pending": 3}

    def test_counts_what_was_trimmed_as_lost(self, redis, send):
        ids = pend(redis, 3)
        redis.xdel(STREAM, ids[1])

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)) == ReclaimResult(moved=2, lost=1)
        assert places(redis) == {"waiting": 2, "lost_trimmed": 1}

    def test_does_not_count_again_what_the_janitor_counted(self, redis, send):
        made_by_us(redis)
        for id_ in ("9-9", "10-1", "10-2"):
            redis.xadd(STREAM, {"n": 1}, id=id_)
        read_and_die(redis, "reader")
        redis.xtrim(STREAM, maxlen=0)
        redis.hset(COUNTERS, "lost_below", "10-2")

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)) == ReclaimResult(moved=0, lost=3)
        assert redis.hget(COUNTERS, "lost_trimmed") == b"1"

    def test_keeps_an_event_that_was_trimmed_when_there_is_a_copy_from_before(self, redis, send):
        ids = pend(redis, 1)
        redis.hset(COPIES, f"{ids[0]}:body", b"1:n,1:7,")
        redis.xdel(STREAM, ids[0])

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)) == ReclaimResult(moved=1, lost=0)
        assert places(redis) == {"waiting": 1}

    def test_answers_nogroup_when_the_group_is_gone(self, redis, send):
        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)).code == "NOGROUP"


class TestLease:
    def lease(self, send, limit=100, lease_ms=60_000, **options):
        return send(delivery_commands.lease(*PLACE, "me", limit=limit, lease_ms=lease_ms, **options))

    def test_gives_out_due_events_and_keeps_them_until_they_are_acknowledged(self, redis, send):
        ids = wait(redis, send, 2)

        leased = self.lease(send)

        body = [b"event_type", b"order-placed", b"n"]
        token = leased.events[0].token
        assert token.endswith(" me")
        assert leased.events == [
            InFlightEvent(id=id_, parts=[*body, str(n).encode()], attempt=2, token=token) for n, id_ in enumerate(ids)
        ]
        assert 59_000 < leased.next_due_ms <= 60_000
        assert places(redis) == {"waiting": 2}
        assert self.lease(send).events == []

    def test_gives_it_out_again_when_the_lease_is_over_and_counts_the_attempts(self, redis, send):
        ids = wait(redis, send, 1)

        attempts = [self.lease(send, lease_ms=0).events[0].attempt for _ in range(3)]

        assert attempts == [2, 3, 4]
        assert redis.hget(COPIES, f"{ids[0]}:tok").endswith(b" me")
        assert redis.hget(COUNTERS, "expired") == b"2"

    def test_gives_in_the_order_of_the_ids_what_became_due_together(self, redis, send):
        made_by_us(redis)
        ids = [redis.xadd(STREAM, {"n": n}, id=f"5-{n + 8}").decode() for n in range(5)]
        read_and_die(redis, "reader")
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100))

        assert [event.id for event in self.lease(send).events] == ids

    def test_gives_no_more_than_asked_and_says_that_the_next_is_due(self, redis, send):
        wait(redis, send, 3)

        leased = self.lease(send, limit=2)

        assert len(leased.events) == 2
        assert leased.next_due_ms == 0

    def test_gives_large_events_in_parts(self, redis, send, monkeypatch):
        monkeypatch.setattr(delivery_commands, "MAX_LEASED_BYTES", 100)
        wait(redis, send, 5)

        sizes = [len(self.lease(send).events) for _ in range(4)]

        assert sum(sizes) == 5
        assert sizes[0] < 5

    def test_gives_an_event_larger_than_all_limits_alone(self, redis, send, monkeypatch):
        monkeypatch.setattr(delivery_commands, "MAX_LEASED_BYTES", 1)
        wait(redis, send, 2)

        assert [len(self.lease(send).events) for _ in range(3)] == [1, 1, 0]

    def test_gives_nothing_where_nothing_waits(self, redis, send):
        assert self.lease(send) == LeaseResult(events=[], lost=0, next_due_ms=None)
        assert redis.keys() == []

    def test_names_each_lease_by_a_token_of_its_own(self, redis, send):
        wait(redis, send, 2)

        first, second = self.lease(send, limit=1).events[0], self.lease(send, limit=1).events[0]

        assert first.token != second.token

    def test_says_how_many_wait(self, redis, send):
        wait(redis, send, 3)

        assert self.lease(send, limit=1).waiting == 3


class TestRelease:
    def release(self, send, ids, consumer="reader", token=""):
        return send(delivery_commands.release(*PLACE, consumer, [(id_, token) for id_ in ids]))

    def lease(self, send):
        return send(delivery_commands.lease(*PLACE, "me", limit=100, lease_ms=60_000)).events

    def test_gives_pending_events_back_without_charging_an_attempt(self, redis, send):
        ids = pend(redis, 3)

        assert self.release(send, ids[1:]) == 2

        assert places(redis) == {"pending": 1, "waiting": 2}
        leased = self.lease(send)[0]
        assert (leased.id, leased.attempt) == (ids[1], 1)
        assert leased.parts == [b"event_type", b"order-placed", b"n", b"1"]

    def test_gives_leased_events_back_without_charging_an_attempt(self, redis, send):
        ids = wait(redis, send, 2)
        leased = self.lease(send)
        assert [event.attempt for event in leased] == [2, 2]

        assert self.release(send, ids, token=leased[0].token) == 2
        assert self.release(send, ids, token=leased[0].token) == 0

        assert [(event.id, event.attempt) for event in self.lease(send)] == [(id_, 2) for id_ in ids]

    def test_gives_back_nothing_that_another_has(self, redis, send):
        pending = pend(redis, 1)
        assert self.release(send, pending, consumer="another") == 0
        assert places(redis) == {"pending": 1}

        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100))
        self.lease(send)
        assert self.release(send, pending, token="1234 me") == 0
        assert self.lease(send) == []

    def test_leaves_a_trimmed_event_to_be_counted_when_it_is_reclaimed(self, redis, send):
        ids = pend(redis, 1)
        redis.xdel(STREAM, ids[0])

        assert self.release(send, ids) == 0

        assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)) == ReclaimResult(moved=0, lost=1)

    def test_answers_nogroup_when_the_group_is_gone(self, redis, send):
        assert self.release(send, ["1-1"]).code == "NOGROUP"


class TestReport:
    def say(self, send, consumer, words, keep_ms=60_000):
        send(participants.report(*PLACE, consumer, words, keep_ms=keep_ms))

    def heard(self, send):
        return {name: report.words for name, report in send(participants.read_reports(*PLACE)).items()}

    def test_keeps_the_last_word_of_each_consumer_and_its_time(self, redis, send):
        begun = send(participants.read_time())
        self.say(send, "one", b"I begin")
        self.say(send, "other", b"")
        self.say(send, "one", b"I run")

        assert self.heard(send) == {"one": b"I run", "other": b""}
        assert begun <= send(participants.read_reports(*PLACE))["one"].at <= send(participants.read_time())

    def test_forgets_those_that_are_gone_or_silent(self, redis, send):
        self.say(send, "gone", b"I run")
        self.say(send, "silent", b"I run")
        redis.hset(f"syn:{{{STREAM}}}:run:{GROUP}", "silent", "5 I run")
        redis.hset(f"syn:{{{STREAM}}}:run:{GROUP}", "stranger", "what is this")
        send(participants.delete_report(*PLACE, "gone"))

        self.say(send, "live", b"I run")

        assert self.heard(send) == {"live": b"I run"}
        # For a day it is told since when nobody reports.
        assert 60_000 < redis.pttl(f"syn:{{{STREAM}}}:run:{GROUP}") <= 86_400_000


class TestRecall:
    def recall(self, send, consumer, offset=0, limit=1000):
        return send(delivery_commands.recall(*PLACE, consumer, lease_ms=60_000, offset=offset, limit=limit))

    def test_ends_the_leases_of_one_consumer_alone(self, redis, send):
        ids = wait(redis, send, 3)
        send(delivery_commands.lease(*PLACE, "gone", limit=2, lease_ms=60_000))
        send(delivery_commands.lease(*PLACE, "live", limit=2, lease_ms=60_000))

        assert self.recall(send, "gone") == RecallResult(looked_at=3, ended=2)

        again = send(delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=60_000))
        assert [event.id for event in again.events] == ids[:2]

    def test_can_be_done_in_parts(self, redis, send):
        wait(redis, send, 5)
        send(delivery_commands.lease(*PLACE, "gone", limit=5, lease_ms=60_000))

        assert self.recall(send, "gone", limit=2) == RecallResult(looked_at=2, ended=2)
        assert self.recall(send, "gone", offset=0, limit=2) == RecallResult(looked_at=2, ended=2)
        assert self.recall(send, "gone", offset=1, limit=2) == RecallResult(looked_at=0, ended=0)


class TestLeave:
    def test_removes_a_consumer_with_nothing_pending(self, redis, send):
        made_by_us(redis)
        redis.xgroup_createconsumer(STREAM, GROUP, "me")

        assert send(delivery_commands.leave(*PLACE, "me")) is True
        assert redis.xinfo_consumers(*PLACE) == []

    def test_keeps_one_whose_pending_events_would_go_with_it(self, redis, send):
        pend(redis, 1, consumer="me")

        assert send(delivery_commands.leave(*PLACE, "me")) is False
        assert places(redis) == {"pending": 1}

    def test_does_nothing_in_a_group_that_is_gone(self, redis, send):
        assert send(delivery_commands.leave(*PLACE, "me")) is False


def test_netstrings_hold_any_bytes():
    assert netstrings(b"") == []
    assert netstrings(b"0:,3:a:,,5:\x00\xff\r\n1,") == [b"", b"a:,", b"\x00\xff\r\n1"]


def test_every_script_keeps_to_the_keys_of_its_stream(redis, send):
    """In a cluster a script may touch one slot alone: the stream's own, by the hash tag."""
    ids = wait(redis, send, 1)
    send(delivery_commands.lease(*PLACE, "me", limit=1, lease_ms=0))
    send(delivery_commands.release(*PLACE, "me", [(ids[0], "")]))
    send(delivery_commands.done(*PLACE, ids))
    send(participants.report(*PLACE, "me", b"I run", keep_ms=0))

    assert {key.decode() for key in redis.scan_iter()} == {STREAM, COUNTERS}
    assert send(stream_commands.xlen(STREAM)) == 1
