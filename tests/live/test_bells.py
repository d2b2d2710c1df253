"""Being woken, without the entries: for reads that wait."""

import asyncio

import pytest

from streams import connections
from streams.connections import tails
from synapse.errors.streams import Stopping


@pytest.fixture
def run(redis):
    """Run a coroutine as the server's event loop would."""

    async def run(coroutine):
        try:
            async with asyncio.timeout(180):
                return await coroutine
        finally:
            tails().stop()
            connections.async_executor().close()

    return lambda coroutine: asyncio.run(run(coroutine))


def store(redis):
    return asyncio.to_thread(redis.xadd, "orders", {"n": 1})


async def quiet(bell):
    """Wait until the bell has said that it works."""
    assert await bell.wait(60)
    assert not await bell.wait(0.1)


def test_a_stored_entry_rings_the_bell_of_its_stream(run, redis):
    async def look():
        with tails().bell("orders") as bell:
            await quiet(bell)
            await store(redis)
            return await bell.wait(60)

    assert run(look())


def test_a_bell_that_is_new_rings_once_when_it_works(run):
    async def look():
        with tails().bell("orders") as bell:
            return await bell.wait(60), await bell.wait(0.2)

    assert run(look()) == (True, False)


def test_an_entry_stored_between_a_read_and_the_wait_wakes_the_waiter(run, redis):
    async def look():
        with tails().bell("orders") as first, tails().bell("orders") as bell:
            await quiet(first)
            await bell.wait(0)
            await store(redis)
            assert await first.wait(60)
            return await bell.wait(0.01)

    assert run(look())


def test_an_entry_of_another_stream_does_not_ring_the_bell(run, redis):
    async def look():
        with tails().bell("parcels") as bell:
            await quiet(bell)
            await store(redis)
            return await bell.wait(0.2)

    assert not run(look())


def test_waiting_for_a_bell_takes_no_seat_of_a_watcher(run):
    async def look():
        with tails().bell("orders") as bell:
            await quiet(bell)
            return tails().watching()

    assert run(look()) == {}


def test_a_server_that_stops_wakes_waiting_readers_and_takes_no_more(run):
    async def look():
        with tails().bell("orders") as bell:
            await quiet(bell)
            tails().stop()
            return await bell.wait(60)

    assert run(look())
    tails.cache_clear()

    async def come_late():
        tails().stop()
        with pytest.raises(Stopping), tails().bell("orders"):
            pass

    run(come_late())
