"""Reconnecting watchers get missed events once each, and a gap is reported."""

import asyncio
import threading
import time

import pytest

from streams.connections import tails
from synapse.live import Tail, pages
from synapse.live.pages import Pages
from synapse.wire.ids import LAST
from tests.chaos.profile import FULL
from tests.live.server import watching

# How often a watcher comes back while events are published.
CONNECTIONS = 15 if FULL else 5


def test_a_watcher_that_reconnects_gets_the_missed_events_and_then_new_ones(server):
    with watching(server.live()) as watch:
        server.publish(1, 2)
        watch.numbers(2)
        last_id = watch.last_id
    server.publish(3, 4)

    with watching(server.live(), last_id=last_id) as watch:
        assert watch.numbers(2) == [3, 4]
        server.publish(5)
        assert watch.numbers(1) == [5]


def test_a_watcher_that_had_received_nothing_misses_no_event_on_reconnecting(server):
    server.publish(1)
    with watching(server.live()) as watch:
        last_id = watch.last_id
    server.publish(2)

    with watching(server.live(), last_id=last_id) as watch:
        assert watch.numbers(1) == [2]


@pytest.mark.parametrize("page", [1, 7, 50])
def test_no_event_is_missed_or_repeated_when_reconnecting_during_publishing(server, redis, monkeypatch, page):
    monkeypatch.setattr(pages, "_FIRST", page)
    monkeypatch.setattr(pages, "_MOST", page)
    published, enough = [], threading.Event()

    def publish():
        while not enough.is_set() and len(published) < 50_000:
            published.append(redis.xadd("orders", {"event": "order-placed", "n": len(published)}).decode())
            # Slow enough for readers to come to the end of what is stored, and to go on live.
            time.sleep(0.001)

    publisher = threading.Thread(target=publish)
    publisher.start()
    received: list[str] = []
    last_id = "0"
    try:
        for _ in range(CONNECTIONS):
            with watching(server.live(), last_id=last_id) as watch:
                received += [watch.next().id for _ in range(30)]
                last_id = watch.last_id
    finally:
        enough.set()
        publisher.join()

    assert received == published[: len(received)]
    assert len(received) == 30 * CONNECTIONS


def test_an_event_that_is_stored_before_the_queue_begins_is_not_missed(server, monkeypatch):
    server.publish(1)
    read, stored = Pages.next, []

    async def read_then_publish(self, executor, until=LAST):
        page = await read(self, executor, until)
        if not stored:
            stored.extend(await asyncio.to_thread(server.publish, 2))
            (tail,) = tails()._tails.values()
            while str(tail._cursor.at) != stored[0]:
                await asyncio.sleep(0)
        return page

    monkeypatch.setattr(Pages, "next", read_then_publish)

    with watching(server.live(), last_id="0") as watch:
        assert watch.numbers(2) == [1, 2]
        server.publish(3)
        assert watch.numbers(1) == [3]


def test_an_event_that_the_read_loop_hands_out_after_the_pages_had_it_does_not_come_twice(server, monkeypatch):
    step, may_go_on = Tail._step, threading.Event()

    async def held_back(self):
        while self._cursor.at is not None and not may_go_on.is_set():
            await asyncio.sleep(0)
        await step(self)

    monkeypatch.setattr(Tail, "_step", held_back)
    server.publish(1)
    with watching(server.live(), last_id="0") as before:
        assert before.numbers(1) == [1]
        server.publish(2)

        with watching(server.live(), last_id="0") as watch:
            assert watch.numbers(2) == [1, 2]
            may_go_on.set()
            server.publish(3)
            assert watch.numbers(1) == [3]


def test_a_long_absence_is_caught_up_with_in_pages(server):
    server.publish(*range(500))

    with watching(server.live(), last_event_id="0") as watch:
        assert watch.numbers(500) == list(range(500))
        server.publish(500)
        assert watch.numbers(1) == [500]


def test_the_header_counts_before_the_parameter(server):
    ids = server.publish(1, 2, 3)

    with watching(server.live(), last_id=ids[1], last_event_id=ids[0], since="0") as watch:
        assert watch.numbers(1) == [3]


def test_since_names_an_id_or_a_time_that_is_included(server):
    ids = server.publish(1, 2)

    with watching(server.live(), since=ids[1]) as watch:
        assert watch.numbers(1) == [2]
    with watching(server.live(), since="2020-01-01T00:00:00Z") as watch:
        assert watch.numbers(2) == [1, 2]


def test_a_start_in_the_future_begins_with_the_next_event(server):
    ids = server.publish(1)

    with watching(server.live(), since="2100-01-01T00:00:00Z") as watch:
        assert watch.opening.id == ids[0]
        server.publish(2)
        assert watch.numbers(1) == [2]


def test_the_filter_holds_for_what_was_missed_too(server):
    server.publish(1)
    server.publish(2, event_type="order-lost")

    with watching(server.live(), last_id="0", event_type="order-lost") as watch:
        server.publish(3)
        server.publish(4, event_type="order-lost")
        assert watch.numbers(2) == [2, 4]


def test_a_heartbeat_advances_watchers_of_a_rare_type(server, settings):
    settings.LIVE_HEARTBEAT = 0.1
    with watching(server.live(), event_type="order-lost") as watch:
        (passed_over,) = server.publish(1)
        while watch.last_id != passed_over:
            assert watch.frame().comment == "heartbeat"


def test_a_watcher_gets_a_gap_when_its_position_was_trimmed_away(server, redis):
    ids = server.publish(1, 2, 3, 4)
    redis.xtrim("orders", minid=ids[2], approximate=False)

    with watching(server.live(), last_id=ids[0]) as watch:
        gap = watch.next()
        assert (gap.name, gap.data["reason"], gap.data["after"]) == ("gap", "trimmed", ids[0])
        assert watch.numbers(2) == [3, 4]


def test_a_watcher_gets_a_gap_when_the_whole_stream_was_trimmed_away(server, redis):
    ids = server.publish(1, 2)
    redis.xtrim("orders", maxlen=0, approximate=False)

    with watching(server.live(), last_id=ids[0]) as watch:
        assert watch.next().name == "gap"
        server.publish(3)
        assert watch.numbers(1) == [3]


def test_trimming_what_was_received_is_no_gap(server, redis):
    ids = server.publish(1, 2, 3)
    redis.xtrim("orders", minid=ids[1], approximate=False)
    with watching(server.live(), last_id=ids[1]) as watch:
        assert watch.numbers(1) == [3]

    redis.xtrim("orders", maxlen=0, approximate=False)
    with watching(server.live(), last_id=ids[2]) as watch:
        server.publish(4)
        assert watch.numbers(1) == [4]


def test_deleting_the_event_to_go_on_from_is_no_gap(server, redis):
    ids = server.publish(1, 2, 3)
    redis.xdel("orders", ids[1])

    with watching(server.live(), last_id=ids[1]) as watch:
        assert watch.numbers(1) == [3]


def test_an_id_of_a_stream_that_is_no_more_begins_with_the_oldest(server, redis):
    redis.xadd("orders", {"event": "order-placed", "n": 1}, id="5-0")

    with watching(server.live(), last_id="9999999999999-0") as watch:
        gap = watch.next()
        assert (gap.name, gap.data["reason"]) == ("gap", "restarted")
        assert watch.numbers(1) == [1]
