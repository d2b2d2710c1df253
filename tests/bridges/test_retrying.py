"""Failed events are retried when due, until they succeed or become dead letters; the others are delivered meanwhile."""

import pytest

from streams import connections
from synapse.delivery import worker as runtime
from synapse.delivery.retry import Policy
from synapse.delivery.shutdown import Stop
from synapse.errors.delivery import SinkDisabled, SinkError
from synapse.redis import RedisUnavailable
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.runtime.backoff import Backoff
from tests.bridges.cast import (
    AT_ONCE,
    COUNTERS,
    DUE,
    PLACE,
    STREAM,
    KeepingSink,
    made_by_us,
    make_due,
    name_of_the_dead,
    now_ms,
    places,
    publish,
    read_and_die,
)

THREE = Policy(most_attempts=3, backoff=Backoff(base=0, cap=0))


class FailingSink(KeepingSink):
    """Raises what `error` returns of an event, unless that is None."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.tried = []

    def take(self, delivery):
        self.tried.append((delivery.id, delivery.attempt))
        if error := self.error(delivery):
            raise error
        self.got.append(delivery)


def letters(send):
    return send(dead_letter_commands.letters(*PLACE, count=100))


def test_an_event_is_a_dead_letter_after_its_last_attempt_and_the_other_events_are_delivered(redis, bridge, send):
    ids = publish(redis, 20)
    sink = FailingSink(lambda delivery: SinkError("out of stock") if delivery.id == ids[3] else None)
    consumer = bridge(sink, retry=THREE)

    consumer.run_dry()

    assert [attempt for id_, attempt in sink.tried if id_ == ids[3]] == [1, 2, 3]
    assert sorted(sink.ids) == sorted(set(ids) - {ids[3]})
    assert set(sink.attempts) == {1}
    (letter,) = letters(send)
    assert (letter.event_id, letter.error, letter.count) == (ids[3], "out of stock", 3)
    assert places(redis) == {"done": 19, "dead": 1}
    assert consumer.said[-1] == f"{ids[3]}, attempt 3: out of stock. It is a dead letter now."
    status = consumer.worker.progress.status()
    assert (status.failed, status.dead) == (3, 1)


def test_an_event_that_is_refused_for_good_is_a_dead_letter_at_once(redis, bridge, send):
    ids = publish(redis, 2)
    sink = FailingSink(lambda delivery: SinkError("nonsense", permanent=True) if delivery.id == ids[0] else None)

    bridge(sink).run_dry()

    assert sink.tried == [(ids[0], 1), (ids[1], 1)]
    assert [letter.event_id for letter in letters(send)] == ids[:1]


def test_a_failed_event_is_due_after_the_wait_of_the_policy_since_its_failure(redis, bridge):
    publish(redis, 1)
    before = now_ms(redis)

    bridge(KeepingSink(refuses=lambda _: True), retry=Policy(schedule=(100, 200))).worker.step()

    ((id_, due),) = redis.zrange(DUE, 0, -1, withscores=True)
    assert 100_000 <= due - before <= 110_000 + now_ms(redis) - before
    make_due(redis)
    bridge(KeepingSink(refuses=lambda _: True), retry=Policy(schedule=(100, 200))).run_dry()
    assert 200_000 <= redis.zscore(DUE, id_) - before <= 220_000 + now_ms(redis) - before


def test_a_receiver_can_ask_for_a_longer_wait_than_the_policy(redis, bridge):
    publish(redis, 1)
    before = now_ms(redis)

    bridge(FailingSink(lambda _: SinkError("busy", retry_after=500)), retry=AT_ONCE).worker.step()

    assert redis.zrange(DUE, 0, -1, withscores=True)[0][1] - before >= 500_000


def test_a_batch_of_failed_and_delivered_events_is_settled_with_all_outcomes(redis, bridge):
    ids = publish(redis, 100)
    sink = KeepingSink(refuses=lambda delivery: delivery.attempt == 1 and int(delivery.id[-1]) % 2)
    consumer = bridge(sink, retry=AT_ONCE, batch=500)

    consumer.run_dry()

    assert sorted(sink.ids) == sorted(ids)
    assert places(redis) == {"done": 100}


def test_an_event_that_killed_its_consumer_on_every_attempt_becomes_a_dead_letter(redis, bridge, send):
    made_by_us(redis)
    (id_,) = publish(redis, 1)
    read_and_die(redis, name_of_the_dead())
    died = bridge(KeepingSink(refuses=lambda _: True), consumer=name_of_the_dead(), retry=THREE)
    for _ in range(2):
        died.worker._joiner.join_if_needed()
        while died.worker._upkeep.step():
            pass
        died.worker._membership.lease(1)
        make_due(redis)

    consumer = bridge(retry=THREE).run_dry()

    assert consumer.sink.ids == []
    (letter,) = letters(send)
    assert (letter.event_id, letter.error) == (id_, "worker died on every attempt")
    assert consumer.said[-1] == "1 event is a dead letter now: its last attempt ended without an outcome."
    assert places(redis) == {"dead": 1}


def test_outcomes_are_reported_again_after_the_reply_of_redis_was_lost(redis, bridge, monkeypatch):
    ids = publish(redis, 3)
    sink = KeepingSink(refuses=lambda delivery: delivery.id == ids[1])
    consumer = bridge(sink, retry=Policy(schedule=(60,)))
    report_outcomes, lost = consumer.worker._membership.report_outcomes, []

    def report_and_lose(**what):
        fates = report_outcomes(**what)
        if not lost:
            lost.append(True)
            raise RedisUnavailable("the reply was lost")
        return fates

    monkeypatch.setattr(consumer.worker._membership, "report_outcomes", report_and_lose)

    consumer.worker.step()
    consumer.run_dry()

    assert sink.ids == [ids[0], ids[2]]
    assert places(redis) == {"done": 2, "waiting": 1}
    assert redis.hget(COUNTERS, "retried") == b"1"


def test_a_late_failure_does_not_undo_what_another_consumer_did(redis, bridge):
    ids = publish(redis, 1)

    def wake_late(delivery):
        redis.xack(*PLACE, delivery.id)
        return SinkError("too late")

    consumer = bridge(FailingSink(wake_late))
    consumer.worker.step()

    assert "Another consumer has it by now." in consumer.said[-1]
    assert places(redis) == {}
    assert redis.xlen(STREAM) == len(ids)


def test_no_new_events_are_read_while_too_many_are_scheduled_for_retry(redis, bridge, monkeypatch):
    monkeypatch.setattr(runtime, "MAX_WAITING", 5)
    ids = publish(redis, 30)
    sink = KeepingSink(refuses=lambda _: True)
    consumer = bridge(sink, batch=5, retry=Policy(schedule=(60,)))

    for _ in range(4):
        consumer.worker.step()

    assert places(redis) == {"waiting": 5}
    assert redis.xinfo_groups(STREAM)[0]["last-delivered-id"].decode() == ids[4]
    status = consumer.worker.progress.status()
    assert (status.state, "scheduled for retry or blocked" in status.reason) == ("waiting", True)
    assert consumer.worker.pause > 0
    sink.refuses = lambda _: False
    make_due(redis)
    consumer.run_dry()
    assert sorted(sink.ids) == sorted(ids)
    assert consumer.worker.progress.status().state == "running"


def test_a_receiver_that_disables_its_bridge_loses_no_event(redis, bridge):
    ids = publish(redis, 3)
    disabled = []
    sink = FailingSink(lambda delivery: SinkDisabled("410 Gone") if delivery.id == ids[1] else None)
    consumer = bridge(sink, disable=disabled.append)

    consumer.worker.run()
    consumer.worker.leave(connections.executor())

    assert disabled == ["410 Gone"]
    assert consumer.worker.trouble == "410 Gone"
    assert places(redis) == {"done": 2, "waiting": 1}
    assert redis.hget(COUNTERS, "retried") is None


def test_the_reason_for_disabling_a_bridge_quotes_no_pii(redis, bridge):
    publish(redis, 1)
    disabled = []
    sink = FailingSink(lambda _: SinkDisabled("Gone: anna@example.org"))
    consumer = bridge(sink, disable=disabled.append, impersonal=lambda text, _: text.replace("anna@example.org", "•••"))

    consumer.worker.run()
    consumer.worker.leave(connections.executor())

    assert disabled == [consumer.worker.trouble] == ["Gone: •••"]


def test_a_paused_worker_stays_in_its_group_and_gives_nothing(redis, bridge):
    publish(redis, 2)
    consumer = bridge(paused=True)

    for _ in range(3):
        consumer.worker.step()

    assert consumer.sink.ids == []
    assert len(redis.xinfo_consumers(*PLACE)) == 1
    assert consumer.worker.progress.status().state == "paused"
    assert consumer.worker.pause > 0


def test_a_worker_delivers_no_more_events_a_second_than_its_rate(redis, bridge):
    ids = publish(redis, 40)
    now = 0.0
    consumer = bridge(rate=10, clock=lambda: now)

    delivered = []
    while len(consumer.sink.ids) < 40:
        consumer.worker.step()
        now += consumer.worker.pause
        delivered.append((now, len(consumer.sink.ids)))
        assert len(consumer.sink.ids) <= 1 + 10 * now + 1e-6

    assert consumer.sink.ids == ids
    assert 3.8 <= now <= 4.1


@pytest.mark.product("mood")
@pytest.mark.parametrize("mood", ["die", "kill"])
def test_a_handler_that_ends_its_process_every_time_makes_a_dead_letter_and_harms_no_other(
    redis, bridge, send, handlers, tmp_path, monkeypatch, mood
):
    from bridges.sinks.handler import HandlerConfig, HandlerSink
    from tests.bridges.sinks import definition

    monkeypatch.setenv("SHOP_FILE", str(tmp_path / "written-down"))
    config = HandlerConfig.read({"handler": "tests.bridges.shop.moody"})
    sink = HandlerSink.open(config, definition("handler"), stopping=lambda: False)
    good = publish(redis, 3)
    (poison,) = publish(redis, 1, mood=mood, times=99)
    good += publish(redis, 3)

    bridge(sink, retry=THREE).run_dry()
    sink.close()

    written = [line.split()[:2] for line in (tmp_path / "written-down").read_text().splitlines()]
    # What was in hand beside it was not begun when its process ended: for that no attempt is charged.
    assert written == [[id_, "1"] for id_ in good]
    (letter,) = letters(send)
    assert (letter.event_id, letter.count, len(letter.attempts)) == (poison, 3, 3)
    assert "its process" in letter.error
    assert places(redis) == {"done": 6, "dead": 1}


def test_a_stop_releases_events_not_begun_and_reports_the_failed_one(redis, bridge):
    ids = publish(redis, 5)
    stop = Stop()
    sink = FailingSink(lambda _: stop.request() or SinkError("no"))
    consumer = bridge(sink, stop=stop)

    consumer.worker.run()
    consumer.worker.leave(connections.executor())

    assert sink.tried == [(ids[0], 1)]
    assert places(redis) == {"waiting": 5}
    make_due(redis)
    rest = bridge().run_dry().sink
    assert sorted(zip(rest.ids, rest.attempts, strict=True)) == sorted((id_, 2 if id_ == ids[0] else 1) for id_ in ids)
