"""Conversations that do long work take turns: between two of them everything else that is due is done."""

import asyncio

from synapse.runtime import turn_queue as module
from synapse.runtime.turn_queue import TurnQueue


def test_the_event_loop_goes_round_twice_between_two_long_turns(monkeypatch):
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    queue = TurnQueue()
    order = []

    def long_work(name):
        nonlocal now
        order.append(name)
        now += module.TURN * 1.1

    async def others():
        while len(order) < 10:
            order.append("others")
            await asyncio.sleep(0)

    async def scenario():
        for name in ("first", "second", "third"):
            queue.enter(lambda name=name: long_work(name))
        await others()

    asyncio.run(scenario())

    assert order[:8] == ["others", "first", "others", "others", "second", "others", "others", "third"]


def test_short_turns_go_on_together_and_in_their_order():
    queue = TurnQueue()
    order = []

    async def scenario():
        for number in range(100):
            queue.enter(lambda number=number: order.append(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(scenario())

    assert order == list(range(100))


def test_tasks_that_wait_for_their_turn_are_woken_and_what_enters_again_comes_behind():
    queue = TurnQueue()
    order = []

    async def work(name):
        for _ in range(2):
            await queue.turn()
            order.append(name)

    async def scenario():
        await asyncio.gather(work("first"), work("second"))

    asyncio.run(scenario())
    asyncio.run(scenario())  # on another event loop

    assert order == ["first", "second", "first", "second"] * 2


def test_a_task_that_goes_away_while_it_waits_keeps_nobody():
    queue = TurnQueue()

    async def scenario():
        gone = asyncio.create_task(queue.turn())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait_for(queue.turn(), 60)

    asyncio.run(scenario())


def test_a_conversation_marked_as_last_ends_its_turn():
    queue = TurnQueue()
    order = []

    async def scenario():
        for name in ("first", "second"):
            queue.enter(lambda name=name: order.append(name), is_last=True)
        for _ in range(4):
            await asyncio.sleep(0)
            order.append("others")

    asyncio.run(scenario())

    assert order[:5] == ["first", "others", "others", "second", "others"]


def test_a_task_that_becomes_due_in_a_turn_goes_on_before_the_next_turn(monkeypatch):
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    queue = TurnQueue()
    order = []

    def long_work(name):
        nonlocal now
        order.append(name)
        now += module.TURN * 1.1

    async def scenario():
        loop = asyncio.get_running_loop()
        due = loop.create_future()

        def make_due():
            long_work("first")
            # As a timer does that is over by then.
            loop.call_soon(due.set_result, None)

        queue.enter(make_due)
        queue.enter(lambda: long_work("second"))
        await due
        order.append("task")
        while len(order) < 3:
            await asyncio.sleep(0)

    asyncio.run(scenario())

    assert order == ["first", "task", "second"]
