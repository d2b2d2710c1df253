"""The queue of a connection, for all its streams together."""

import asyncio
from collections import deque

import pytest

from synapse.live import Frame, Subscription, Watcher, watcher
from synapse.live.positions import encode_position
from synapse.live.watcher import WakeUps
from synapse.wire.ids import FIRST, EntryId


def frame(stream, number):
    id_ = EntryId(number, 0)
    return Frame(stream=stream, id=id_, part=encode_position(stream, id_), event_type="a", body=b"x" * 10 + b"}")


def names(items):
    return [(item.stream, item.id.ms) for item in items]


@pytest.fixture
def queue():
    return Watcher(WakeUps())


def test_a_short_wait_after_a_long_one_ends_by_itself(queue):
    async def wait():
        asyncio.get_running_loop().call_soon(queue.put, frame("orders", 1))
        return names(await queue.next_items(3600)), await queue.next_items(0.001)

    assert asyncio.run(wait()) == ([("orders", 1)], [])


def test_a_long_wait_after_a_short_one_is_not_ended_by_its_alarm(queue):
    async def wait():
        loop = asyncio.get_running_loop()
        loop.call_soon(queue.put, frame("orders", 1))
        first = await queue.next_items(0.02)
        loop.call_later(0.06, queue.put, frame("orders", 2))
        return names(first), names(await queue.next_items(3600))

    assert asyncio.run(wait()) == ([("orders", 1)], [("orders", 2)])


def test_waiting_watchers_are_woken_together_and_get_what_was_gathered():
    async def wait():
        wake_ups = WakeUps()
        queues = [Watcher(wake_ups) for _ in range(250)]
        waiting = [asyncio.create_task(each.next_items(3600)) for each in queues]
        await asyncio.sleep(0)
        for each in queues:
            each.put(frame("orders", 1))
            each.put(frame("parcels", 2))
        return [names(await each) for each in waiting]

    assert asyncio.run(wait()) == [[("orders", 1), ("parcels", 2)]] * 250


def test_a_watcher_that_becomes_due_during_a_round_waits_for_the_next_one(monkeypatch):
    monkeypatch.setattr(WakeUps, "AT_ONCE", 1)
    monkeypatch.setattr(WakeUps, "MOST", 0.05)
    monkeypatch.setattr(WakeUps, "EACH", 0.05)

    async def follow():
        loop, wake_ups = asyncio.get_running_loop(), WakeUps()
        first, second = Watcher(wake_ups), Watcher(wake_ups)

        async def read():
            await first.next_items(3600)
            begun = loop.time()
            # The next event comes before the round has woken the other watcher.
            loop.call_soon(first.put, frame("orders", 2))
            await first.next_items(3600)
            return loop.time() - begun

        reading = [asyncio.create_task(read()), asyncio.create_task(second.next_items(3600))]
        await asyncio.sleep(0)
        for each in (first, second):
            each.put(frame("orders", 1))
        return (await asyncio.gather(*reading))[0]

    assert asyncio.run(follow()) > 0.04


def test_a_subscription_releases_its_held_back_frames_when_it_goes_live(queue):
    orders, parcels = (Subscription(queue, stream, after=FIRST) for stream in ("orders", "parcels"))
    parcels.go_live()

    orders.offer(frame("orders", 1))
    parcels.offer(frame("parcels", 2))
    before = names(queue.take_items())
    orders.go_live()
    orders.offer(frame("orders", 3))

    assert (before, names(queue.take_items())) == ([("parcels", 2)], [("orders", 1), ("orders", 3)])


def test_the_bound_holds_for_all_streams_together_and_for_what_is_held_back(queue, monkeypatch):
    monkeypatch.setattr(watcher, "MOST_WAITING", 3)
    orders, parcels = (Subscription(queue, stream) for stream in ("orders", "parcels"))
    parcels.go_live()
    for number in (1, 2):
        orders.offer(frame("orders", number))
    parcels.offer(frame("parcels", 3))
    assert queue.ended is None

    parcels.offer(frame("parcels", 4))

    assert queue.ended == "slow"
    assert queue.take_items() == []


def test_leaving_a_stream_drops_what_waits_of_it_and_makes_room(queue, monkeypatch):
    monkeypatch.setattr(watcher, "MOST_WAITING", 4)
    orders, parcels, held = (Subscription(queue, stream) for stream in ("orders", "parcels", "letters"))
    orders.go_live()
    parcels.go_live()
    for each, stream in ((orders, "orders"), (parcels, "parcels"), (orders, "orders"), (held, "letters")):
        each.offer(frame(stream, 1 if each is not orders or orders.seen == FIRST else 2))

    orders.leave()
    held.leave()
    for number in (2, 3, 4):
        parcels.offer(frame("parcels", number))

    assert queue.ended is None
    assert names(queue.take_items()) == [("parcels", number) for number in (1, 2, 3, 4)]
    queue.drop_stream("parcels", deque())
