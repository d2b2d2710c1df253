"""Reads of many entries wait for their turn; short reads do not."""

import asyncio

import pytest

from streams.api import routes
from synapse.shares.fair_pool import FairQueue

HEADERS = {"host": "localhost"}


@pytest.fixture
def no_turns(monkeypatch):
    """Nobody's turn comes: one read is going on already, and patience is over at once."""
    queue = FairQueue("reads of many messages", capacity=1, patience=0)
    queue.running = 1
    monkeypatch.setitem(routes.QUEUES, "reads of many messages", queue)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("", 200), ("?count=99", 200), ("?count=100", 503), ("?count=1000", 503)),
        *(("?event_type=order-placed", 503), ("?filter=event.n==1", 503)),
    ],
)
def test_a_read_of_many_entries_waits_for_its_turn(event_loop_client, redis, define, no_turns, query, status):
    define("orders")

    answer = event_loop_client("GET", f"/streams/orders/messages{query}")

    assert answer.status == status
    assert status == 200 or answer.headers["retry-after"] == "1"


def test_long_reads_side_by_side_all_find_what_they_look_for(event_loop_client, redis, define):
    define("orders")
    for number in range(1, 1501):
        redis.xadd("orders", {"event_type": "rare" if number == 1 else "common"}, id=f"{number}-0")
    path = "/streams/orders/messages?event_type=rare&count=5"

    async def ask_all():
        return await asyncio.gather(*(event_loop_client.ask("GET", path, b"", HEADERS) for _ in range(12)))

    answers = event_loop_client.run(ask_all())

    assert [[message["id"] for message in answer.json["messages"]] for answer in answers] == [["1-0"]] * 12
    assert [answer.json["scanned"] for answer in answers] == [1500] * 12
