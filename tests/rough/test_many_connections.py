"""More connections than the server takes: each new one is served, for one that waited longest, and it passes.

`SYNAPSE_TESTS=full` opens as many as one client may have descriptors and ports for, up to 25,000.
"""

import asyncio
import resource
from contextlib import closing

import pytest

from tests.chaos.profile import FULL
from tests.connection import Connection, request
from tests.patience import eventually
from tests.rough.load import PATIENCE, crowd
from tests.rough.server import running_synapse

MIB = 1024 * 1024
# Bytes that a connection takes: 8 KiB when it was measured.
MOST_EACH = 20 * 1024
# Bytes that it leaves behind. What the first wave took the allocator keeps for the next one, which took up to 1.5 KiB
# more for each, and a fifth none. It was 5 KiB, each time, when a request and its connection kept each other.
MOST_LEFT = 3 * 1024
WAVES = 4 if FULL else 2
# For the test itself, and what it has open beside the connections.
SPARE = 500
_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
WANTED = 25_000 if FULL else 2_000
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
    # All come from one address: it may have all there is.
    limits = {"SYNAPSE_CONNECTIONS": str(TAKEN), "SYNAPSE_SHARES": "open-connections=100:100"}
    with running_synapse(tmp_path, **limits) as running:
        yield running


async def ask(reader, writer):
    """Publish, and return the status of the answer; 0 when the connection was closed."""
    writer.write(EVENT)
    try:
        async with asyncio.timeout(2 * PATIENCE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0
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
    again = await asyncio.gather(*(ask(*connection) for connection, _ in came))
    for (_, writer), _ in came:
        writer.close()
    return [status for _, status in came], again


@pytest.mark.nightly
@pytest.mark.parametrize("count", [COUNT])
def test_each_new_connection_is_served_for_one_that_waited_longest(synapse, count, capsys):
    memory = [synapse.memory()]
    came, again = [], []
    with crowd(synapse, 2) as others:
        others.more(1)
        for _ in range(WAVES):
            statuses, later = asyncio.run(
                come_and_stay(synapse.port, count, lambda: memory.append(synapse.memory())),
            )
            came += statuses
            again += later
            eventually(lambda: {_publish(synapse) for _ in range(20)} == {201})
            memory.append(synapse.memory())
        others.more(100)

    closed = again.count(0)
    with capsys.disabled():
        shown = ", ".join(f"{size / MIB:.0f}" for size in memory)
        print(f"\n{WAVES} x {count:,} connections: all served, {closed:,} closed for others; MiB of a worker: {shown}")
    assert came == [201] * WAVES * count
    assert set(again) == {0, 201}
    assert WAVES * TAKEN // 2 < again.count(201) <= WAVES * 2 * TAKEN
    assert others.answers.keys() == {201}
    assert others.broken == 0
    others.check(synapse.stored())
    before, held, after, *_, last = memory
    assert held - before < TAKEN * MOST_EACH
    assert last - after < (WAVES - 1) * count // 2 * MOST_LEFT


def _publish(synapse):
    with closing(Connection(synapse.port)) as connection:
        connection.send(EVENT)
        return connection.answer()[0]
