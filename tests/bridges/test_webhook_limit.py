"""The time limit of requests: one timer serves all requests that are under way."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from synapse.delivery.webhooks.sender import TimeLimit

SOON = 0.01
NEVER = 3600.0


async def waits_in(limit):
    with limit:
        await asyncio.Event().wait()


async def begins_later(limit):
    """Wait under the limit, beginning at a later time of the loop's clock. Return the seconds until the timeout."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() == begun:
        await asyncio.sleep(0)
    begun = loop.time()
    with pytest.raises(TimeoutError):
        await waits_in(limit)
    return loop.time() - begun


def outcomes(*what: Callable[[TimeLimit], Awaitable[object]], seconds: float = SOON) -> list[object]:
    async def main():
        limit = TimeLimit(seconds)
        found = await asyncio.gather(*(one(limit) for one in what), return_exceptions=True)
        limit.close()
        return found

    return asyncio.run(main())


def test_a_task_over_the_time_limit_gets_a_timeout_error():
    assert [type(one) for one in outcomes(waits_in, waits_in)] == [TimeoutError] * 2


def test_tasks_that_begin_later_get_a_timeout_error_when_their_own_time_is_over():
    first, *later = outcomes(waits_in, begins_later, begins_later)

    assert isinstance(first, TimeoutError)
    assert min(later) > SOON * 0.99


def test_a_task_done_within_the_time_limit_is_not_stopped():
    async def quick(limit):
        for _ in range(3):
            with limit:
                await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await waits_in(TimeLimit(SOON))
        return "went on"

    assert outcomes(quick) == ["went on"]


def test_a_task_stopped_by_the_time_limit_can_continue_without_being_cancelled():
    async def tries_twice(limit):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await waits_in(limit)
        await asyncio.sleep(0)
        return asyncio.current_task().cancelling()

    assert outcomes(tries_twice) == [0]


def test_an_error_that_a_task_raises_is_passed_on():
    async def fails(limit):
        with limit:
            raise OSError("no connection")

    (error,) = outcomes(fails)

    assert str(error) == "no connection"


def test_a_task_cancelled_from_outside_is_cancelled():
    async def cancelled(limit):
        task = asyncio.create_task(waits_in(limit))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert outcomes(cancelled, seconds=NEVER) == [True]


def test_a_task_cancelled_as_its_time_limit_ends_is_cancelled():
    async def both(limit):
        async def stopped_twice():
            with limit:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    asyncio.current_task().cancel()
                    raise

        task = asyncio.create_task(stopped_twice())
        await asyncio.wait([task])
        return task.cancelled()

    assert outcomes(both) == [True]
