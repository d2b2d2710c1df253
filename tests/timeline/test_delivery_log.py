"""The delivery log of a bridge: which attempts and actions a timeline tells after they are over, and its bounds."""

import pytest

from bridges import dead_letters
from bridges.models import Bridge
from bridges.runtime.worker_factory import open_worker
from bridges.snapshot import definition_of
from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.dead_letters import Ids
from synapse.delivery.shutdown import Stop
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import groups as group_commands
from synapse.redis.commands.delivery import Failure
from synapse.redis.commands.delivery_log import DoneLog
from tests.bridges.cast import AT_ONCE, COUNTERS, GROUP, PLACE, STREAM, TWICE, KeepingSink, pend, publish
from tests.definitions import define

pytestmark = pytest.mark.django_db
LOG = f"syn:{{{STREAM}}}:log:{GROUP}"
ANNA = Principal(kind="person", name="anna")


def outcomes(row):
    return [(each["number"], each["outcome"]) for each in row["attempts"]]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("off", []), ("failures", [(1, "failed")]), ("all", [(1, "failed"), (2, "done")])],
)
def test_the_attempts_at_an_acknowledged_event_are_told_as_far_as_the_bridge_logs_them(
    redis, worker, place, mode, expected
):
    shop = worker(delivery_log=mode, retry=AT_ONCE)
    shop.worker.step()
    (id_,) = publish(redis, 1, mood="no stock")
    shop.worker.step()
    shop.sink.cured = True
    shop.run_dry()

    row = place(id_)

    assert (row["place"], row["certain"], outcomes(row)) == ("acknowledged", True, expected)
    for attempt in row["attempts"]:
        assert attempt["worker"] == shop.worker.subscription.consumer
        assert attempt["took_ms"] is not None
    assert [each["error"] for each in row["attempts"] if each["outcome"] == "failed"] == ["ValueError: no stock"] * (
        mode != "off"
    )


@pytest.mark.parametrize("mode", ["off", "failures", "all"])
def test_the_worker_of_a_bridge_logs_as_its_definition_says(redis, shop, mode):
    shop.delivery_log = mode

    worker = open_worker(definition_of(shop), say=lambda _: None, stop=Stop(), sink=KeepingSink())

    assert worker.subscription.delivery_log == mode


def test_an_event_that_the_bridge_does_not_want_is_told_as_filtered_where_everything_is_logged(redis, worker, place):
    shop = worker(delivery_log="all", only=frozenset({"order-paid"}))
    shop.run_dry()
    (id_,) = publish(redis, 1)
    shop.run_dry()

    row = place(id_)

    assert (row["place"], [each["what"] for each in row["changes"]]) == ("acknowledged", ["filtered"])


def test_a_failure_has_its_kind_and_the_status_that_the_receiver_answered(redis, send, place):
    (id_,) = pend(redis, 1)
    failure = Failure(
        id=id_, token="", error="raw", took_ms=7, delay_ms=1000, failure="http-5xx", status=503, told="503 of anna"
    )

    send(delivery_commands.fail(*PLACE, [failure], consumer="shop-1:7:0123abcd", logs=True))

    (attempt,) = place(id_)["attempts"]
    assert (attempt["kind"], attempt["status"], attempt["worker"]) == ("http-5xx", 503, "shop-1:7:0123abcd")


def test_an_attempt_whose_consumer_died_is_silent_and_names_it(redis, send, place):
    (id_,) = pend(redis, 1, consumer="gone")

    send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=10, logs=True))

    (attempt,) = place(id_)["attempts"]
    assert (attempt["outcome"], attempt["worker"], attempt["error"]) == ("silent", "gone", None)


def test_redriving_discarding_and_moving_are_told_with_the_person(redis, worker, shop, send, place):
    made = worker(delivery_log="failures", retry=TWICE)
    made.run_dry()
    first, second, third = publish(redis, 3, mood="no stock")
    made.run_dry()
    letters = {id_: place(id_)["dead_letters"][0]["id"] for id_ in (first, second)}

    dead_letters.redrive(STREAM, GROUP, Ids((letters[first],)), by=ANNA)
    dead_letters.discard(STREAM, GROUP, Ids((letters[second],)), by=ANNA, reason="ordered anew")
    (skipped,) = publish(redis, 1)
    send(group_commands.move(*PLACE, group_commands.END, actor="person:anna", logs=True))

    def changes(id_):
        return [(each["what"], each["by"]) for each in place(id_)["changes"]]

    assert changes(first) == [("dead", None), ("redriven", "person:anna")]
    assert changes(second) == [("dead", None), ("discarded", "person:anna")]
    assert changes(skipped) == [("moved", "person:anna")]
    assert [place(id_)["place"] for id_ in (first, second, third, skipped)] == [
        "scheduled",
        "discarded",
        "dead",
        "skipped",
    ]
    # Others of the group stay certain.
    assert place(second)["certain"]


def test_attempts_and_moves_are_told_in_the_order_in_which_they_came(redis, worker, send, place):
    made = worker(delivery_log="all", retry=TWICE)
    made.run_dry()
    failed, done = publish(redis, 1, mood="no stock")[0], publish(redis, 1)[0]
    made.run_dry()

    def move_to(position):
        send(group_commands.move(*PLACE, position, actor="person:anna", logs=True))

    move_to("0-0")
    unread = place(done)
    move_to(group_commands.END)

    assert [each["what"] for each in place(failed)["changes"]] == ["dead", "moved", "moved"]
    assert [each["what"] for each in place(done)["changes"]] == ["moved", "moved"]
    # An attempt before the moves is not how its stay ended.
    assert (unread["place"], place(done)["place"], place(done)["certain"]) == ("unread", "skipped", True)


def test_the_log_holds_no_pii_and_an_error_of_the_event_is_masked_in_it(redis, bridge, worker):
    define(STREAM, {"order-placed": {"properties": {"mood": {"x-pii": True}}}})
    holder.refresh()
    made = worker(delivery_log="all", retry=TWICE, impersonal=lambda text, _: text.replace("anna@example.org", "•••"))
    made.run_dry()
    publish(redis, 1, mood="anna@example.org")
    made.run_dry()

    lines = redis.zrange(LOG, 0, -1)

    assert len(lines) == 2
    assert all("ValueError: •••".encode() in line and b"anna" not in line for line in lines)


def test_actors_are_hidden_from_a_key_without_the_right_to_see_dead_letters(redis, settings, worker, timeline, key_of):
    settings.AUTH_DEFAULT = "closed"
    made = worker(delivery_log="failures", retry=AT_ONCE)
    made.worker.step()
    (id_,) = publish(redis, 1, mood="no stock")
    made.worker.step()
    made.sink.cured = True
    made.run_dry()

    (row,) = timeline(id_, authorization=f"Bearer {key_of('reader', subscribes=[STREAM])}")["groups"]

    assert [(each["outcome"], each["error"]) for each in row["attempts"]] == [("failed", None)]


def test_the_log_keeps_twenty_thousand_lines_and_forgets_the_oldest_events_first(redis, send, place):
    ids = pend(redis, 300)
    earlier = f"{int(ids[0].partition('-')[0]) - 1000:0>20}{0:0>20}"
    filler = {f"{earlier} {n} 1 done 1 1 - - 0:,": 0 for n in range(20_000)}
    redis.zadd(LOG, filler)

    send(delivery_commands.done(*PLACE, ids, log=DoneLog(consumer="one", took_ms=1, attempts=[1] * 300)))

    assert redis.zcard(LOG) == 20_000
    assert outcomes(place(ids[0])) == [(1, "done")]


def test_lines_about_events_of_more_than_thirty_days_ago_go_with_the_next_line(redis, send):
    redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    old = redis.xadd(STREAM, {"event_type": "order-placed"}, id="1-1").decode()
    (new,) = publish(redis, 1)
    redis.xreadgroup(GROUP, "one", {STREAM: ">"})

    for id_ in (old, new):
        send(delivery_commands.done(*PLACE, [id_], log=DoneLog(attempts=[1])))

    assert [line.split()[0] for line in redis.zrange(LOG, 0, -1)] == ["{:0>20}{:0>20}".format(*new.split("-")).encode()]
    assert redis.hget(COUNTERS, "doubt") is not None


def test_a_repeated_report_writes_no_second_line(redis, send):
    (id_,) = pend(redis, 1)
    done = delivery_commands.done(*PLACE, [id_], log=DoneLog(attempts=[1]))

    assert [send(done), send(done)] == [1, 0]
    assert redis.zcard(LOG) == 1


def test_deleting_a_bridge_or_its_group_clears_the_log(redis, shop, send, django_capture_on_commit_callbacks):
    pend(redis, 1)
    redis.zadd(LOG, {"x": 0})
    with django_capture_on_commit_callbacks(execute=True):
        Bridge.objects.get().delete()
    assert not redis.exists(LOG)

    redis.zadd(LOG, {"x": 0})
    send(group_commands.delete(*PLACE, lively_ms=0, force=True))
    assert not redis.exists(LOG)
