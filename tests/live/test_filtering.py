"""Watching the events that meet a filter."""

import threading

import httpx

from streams.snapshot import holder
from tests.callers import callers_with
from tests.live.server import watching
from tests.pii.conftest import MASK, Impersonal


def test_only_events_that_meet_the_filter_come_whether_stored_before_or_after(server):
    server.publish(1, 7, 2, 8)

    with watching(server.live(), since="0", filter='event.n > 5 && stream == "orders"') as watch:
        assert watch.numbers(2) == [7, 8]
        server.publish(3, 9, 4)
        server.publish(10, event_type="order-lost")

        assert watch.numbers(2) == [9, 10]


def test_a_filter_and_event_types_must_both_hold(server):
    with watching(server.live(), filter="event.n > 5", event_type=["order-lost"]) as watch:
        server.publish(7)
        server.publish(1, event_type="order-lost")
        server.publish(8, event_type="order-lost")

        assert watch.numbers(1) == [8]


def test_a_watcher_that_comes_back_gets_the_events_behind_those_that_were_filtered_out(server):
    with watching(server.live(), filter="event.n > 5") as watch:
        server.publish(7, 1)
        assert watch.numbers(1) == [7]
        last = watch.last_id
    server.publish(2, 8)

    with watching(server.live(), filter="event.n > 5", last_event_id=last) as watch:
        assert watch.numbers(1) == [8]


def test_heartbeats_come_with_the_position_while_all_that_is_stored_is_filtered_out(server, settings):
    settings.LIVE_HEARTBEAT = 0.2
    stopped = threading.Event()

    def publish():
        while not stopped.wait(0.01):
            server.publish(1)

    publisher = threading.Thread(target=publish)
    with watching(server.live(), filter="event.n > 5") as watch:
        publisher.start()
        try:
            frames = []
            # The first ones may come before anything was stored.
            while len({frame.id for frame in frames} - {watch.opening.id}) < 2 and len(frames) < 100:
                frames.append(watch.frame())
        finally:
            stopped.set()
            publisher.join()

    assert {frame.comment for frame in frames} == {"heartbeat"}
    assert len(frames) < 100, "the position does not move"
    ids = [watch.opening.id, *(frame.id for frame in frames)]
    assert ids == sorted(ids)


def test_a_filter_looks_at_events_as_their_watcher_sees_them(server, define, redis):
    define("letters", {"letter-sent": {"properties": {"to": {"type": "string", "x-pii": True}}}})
    holder.refresh()
    text = f'event.to.contains("anna") || data.to.startsWith("a") || (event.n == 2 && event.to == "{MASK}")'

    with callers_with(Impersonal()), watching(server.live("letters"), since="0", filter=text) as watch:
        for number in (1, 2):
            redis.xadd("letters", {"event_type": "letter-sent", "n": number, "to": "anna@example.org"})

        assert watch.next().data["event"] == {"event_type": "letter-sent", "n": 2, "to": MASK}


def test_a_filter_that_cannot_be_parsed_is_400_before_the_stream_begins(server):
    answer = httpx.get(server.live(), params={"filter": "event.n = 3"})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["type"], answer.json()["position"]) == ("urn:synapse:problem:bad-filter", 9)


def test_entries_of_other_programs_and_large_ones_are_filtered_too(server, redis):
    with watching(server.live(), filter="size(event.text) > 3 || event.n == 1") as watch:
        redis.xadd("orders", {b"\xff": b"\xff"})
        redis.xadd("orders", {"text": "x" * 100_000})
        redis.xadd("orders", {"event_type": "order-placed", "n": "1"})

        assert (len(watch.next().data["event"]["text"]), watch.numbers(1)) == (100_000, [1])
