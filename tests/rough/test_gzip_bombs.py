"""Bodies that decode to a thousand times their size cost bounded memory, and publishers beside them are answered.

In each run `tests/hostile/test_hostile_requests.py` has such a body among those that cost no memory, and
`tests/endpoints/test_content_coding.py` has how each kind is refused.
"""

import gzip

import pytest

from tests.connection import request
from tests.gzip_bombs import gzip_bomb
from tests.rough.load import crowd

MIB = 1024 * 1024
TIMES = 3
# Three bodies of 8 MiB may be held at once, each twice while it is handed out.
MOST_GROWTH = 100 * MIB
HEADERS = ("content-type: application/json", "content-encoding: gzip")


@pytest.fixture(scope="module")
def bombs():
    """A body for each kind: refused in its first thousandth, at its end, and never complete."""
    small = gzip.compress(bytes(MIB), 9)
    whole = gzip.compress(b"[" + b" " * (8 * MIB - 2) + b"]", 1)
    return {
        413: gzip_bomb(256),
        400: whole,
        "several": small * 1000,
        "damaged": whole[:-8] + bytes(8),
    }


@pytest.mark.nightly
def test_publishers_beside_bombs_are_answered_and_memory_stays(synapse, connect, bombs):
    with crowd(synapse, 4) as publishers:
        publishers.more(20)
        before = synapse.memory()
        statuses = []
        for body in bombs.values():
            clients = [connect(synapse) for _ in range(TIMES)]
            for client in clients:
                client.send(request("POST", "/events/orders", body, *HEADERS))
            statuses.append({client.answer()[0] for client in clients})
        grown = synapse.memory() - before
        publishers.more(20)

    assert statuses == [{413}, {400}, {400}, {400}]
    assert grown < MOST_GROWTH
    assert set(publishers.answers) <= {200, 201}
    assert publishers.broken == 0
    publishers.check(synapse.stored())
