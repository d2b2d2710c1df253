"""Callers who wait for the same work take turns, however many requests each of them has waiting."""

import asyncio

import pytest

from synapse.shares import AllInUse, CallerId
from synapse.shares.fair_pool import FairQueue

SHOP, BILLING, HOSTILE = (CallerId("service", name) for name in ("shop", "billing", "hostile"))


class Work:
    """Work that is noted when it begins, and ends when it is told to."""

    def __init__(self, queue):
        self.queue = queue
        self.begun = []
        self._ends = {}

    async def do(self, caller, name, weight=1):
        async with self.queue.turn(caller, weight):
            self.begun.append(name)
            await self._ends.setdefault(name, asyncio.Event()).wait()

    def begin(self, caller, *names, weight=1):
        return [asyncio.create_task(self.do(caller, name, weight)) for name in names]

    async def end(self, *names):
        for name in names:
            self._ends.setdefault(name, asyncio.Event()).set()
            await idle()


async def idle():
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario, *, capacity=1, patience=60):
    async def running():
        await scenario(Work(FairQueue("batches", capacity=capacity, patience=patience)))

    asyncio.run(running())


def test_callers_take_turns_however_many_requests_each_has_waiting():
    async def scenario(work):
        tasks = work.begin(HOSTILE, "h1", "h2", "h3", "h4") + work.begin(SHOP, "s1") + work.begin(BILLING, "b1", "b2")
        await idle()

        await work.end("h1", "h2", "s1", "b1", "h3", "b2", "h4")

        assert work.begun == ["h1", "h2", "s1", "b1", "h3", "b2", "h4"]
        assert (work.queue.running, work.queue.waiting) == (0, 0)
        await asyncio.gather(*tasks)

    run(scenario)


def test_no_more_than_the_capacity_is_worked_on_and_what_is_heavier_is_done_alone():
    async def scenario(work):
        work.begin(SHOP, "light", weight=4)
        await idle()
        work.begin(BILLING, "heavy", weight=25)
        await idle()
        work.begin(SHOP, "late", weight=1)
        await idle()
        assert work.begun == ["light"]

        await work.end("light")
        assert work.begun == ["light", "heavy"]

        await work.end("heavy", "late")
        assert work.begun == ["light", "heavy", "late"]

    run(scenario, capacity=10)


def test_a_caller_who_waits_too_long_is_refused_and_leaves_nothing_behind():
    async def scenario(work):
        work.begin(SHOP, "first")
        await idle()

        with pytest.raises(AllInUse, match="batches"):
            await work.do(BILLING, "second")

        assert work.queue.waiting == 0
        await work.end("first")
        assert work.queue.running == 0

    run(scenario, patience=0)


@pytest.mark.parametrize("moment", ["before", "just before", "just after"])
def test_a_caller_who_goes_away_while_waiting_leaves_its_turn_to_the_next(moment):
    async def scenario(work):
        work.begin(SHOP, "first")
        await idle()
        (gone,) = work.begin(BILLING, "gone")
        work.begin(HOSTILE, "next")
        await idle()

        if moment == "just after":
            work._ends["first"].set()
            await asyncio.sleep(0)
        if moment == "just before":
            work._ends["first"].set()
        gone.cancel()
        if moment == "before":
            await idle()
        await work.end("first", "gone")

        assert work.begun[-1] == "next"
        await work.end("next")
        assert (work.queue.running, work.queue.waiting) == (0, 0)

    run(scenario)
