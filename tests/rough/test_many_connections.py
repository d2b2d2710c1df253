"""More connections than the server takes: one more is told so, whoever is connected is served, and it passes.

`SYNAPSE_TESTS=full` opens as many as one client may have descriptors and ports for, up to 25,000.
"""

import asyncio
import resource

import httpx
import pytest

from tests.chaos.profile import FULL
from tests.connection import request
from tests.patience import eventually
from tests.rough.load import PATIENCE, crowd
from tests.rough.server import running_synapse

MIB = 1024 * 1024
# For the test itself, and what it has open beside the connections.
SPARE = 500
_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
WANTED = 25_000 if FULL else 10_000
# As many as were wanted, or as this machine lets one process have.
COUNT = WANTED if HARD == resource.RLIM_INFINITY else min(WANTED, HARD - SPARE)
# Of each of the two workers: together they take four fifths.
TAKEN = COUNT * 2 // 5
# At a time: fewer than the system keeps in its queue of those that nobody has accepted yet.
OPENING = 200
EVENT = request("POST", "/events/orders", b'{"event_type": "order-placed", "n": -1}', "content-type: application/json")


@pytest.fixture(autouse=True)
def descriptors():
    """Let this process have as many as it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def synapse(tmp_path):
    with running_synapse(tmp_path, SYNAPSE_CONNECTIONS=str(TAKEN)) as running:
        yield running


async def ask(reader, writer):
    """Publish, and return the status of the answer."""
    writer.write(EVENT)
    async with asyncio.timeout(2 * PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
    return int(head.split()[1])


async def come_and_stay(port, count, while_they_stay):
    """Open connections, publish on each, and on each again when all are open; return the statuses of both times."""
    opening = asyncio.Semaphore(OPENING)

    async def come():
        async with opening:
            connection = await asyncio.open_connection("127.0.0.1", port)
            return connection, await ask(*connection)

    came = await asyncio.gather(*(come() for _ in range(count)))
    while_they_stay()
    stayed = [connection for connection, status in came if status != 503]
    again = await asyncio.gather(*(ask(*connection) for connection in stayed))
    for (_, writer), _ in came:
        writer.close()
    return [status for _, status in came], again


@pytest.mark.parametrize("count", [COUNT])
def test_those_over_the_limit_are_told_so_and_the_others_are_served(synapse, count, capsys):
    memory = [synapse.memory()]
    with crowd(synapse, size=8) as others:
        others.more(1)

        came, again = asyncio.run(come_and_stay(synapse.port, count, lambda: memory.append(synapse.memory())))

        others.more(100)
    served, refused = came.count(201), came.count(503)
    new_ones = eventually(lambda: (found := {_publish(synapse) for _ in range(20)}) == {201} and found)
    memory.append(synapse.memory())

    with capsys.disabled():
        shown = ", ".join(f"{size / MIB:.0f}" for size in memory)
        print(f"\nfigures: {count:,} connections, {served:,} served, {refused:,} refused with 503; MiB of a worker: {shown}")
    assert served + refused == count
    assert TAKEN // 2 < served <= 2 * TAKEN
    assert again == [201] * served
    assert others.answers.keys() == {201}
    assert others.broken == 0
    assert new_ones == {201}
    others.check({id_: number for id_, number in synapse.stored().items() if number >= 0})


def _publish(synapse):
    return httpx.post(f"{synapse.url}/events/orders", json={"event_type": "order-placed", "n": -1}).status_code
