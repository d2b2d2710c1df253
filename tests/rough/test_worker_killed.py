"""A worker is killed while all publish: the other one's connections go on, and it is started again."""

import os
import signal

import pytest

from tests.patience import eventually
from tests.rough.load import crowd

pytestmark = pytest.mark.nightly

TIMES, SIZE = 12, 256


def test_a_killed_worker_breaks_only_its_connections_and_acknowledged_events_are_stored_once(synapse, capsys):
    broken = []
    # They come anew now and then, so that each worker gets its part of them.
    with crowd(synapse, SIZE, life=50) as publishers:
        for _ in range(TIMES):
            eventually(lambda: min(connections_of_each(synapse).values(), default=0) >= 4)
            found = connections_of_each(synapse)
            victim, before = min(found, key=found.__getitem__), publishers.broken
            os.kill(victim, signal.SIGKILL)
            publishers.more(SIZE * 20)
            eventually(lambda victim=victim: len(now := synapse.processes()) == 2 and victim not in now)
            broken.append(publishers.broken - before)
        publishers.more(SIZE * 20)

    with capsys.disabled():
        print(f"\n{SIZE} publishers: {dict(publishers.answers)}; broken by each kill: {broken}")
    # Those that the killed worker had accepted, each once, and nobody else's.
    assert sum(broken) > 0
    assert max(broken) < SIZE
    assert publishers.answers.keys() <= {200, 201}
    publishers.check(synapse.stored())


def connections_of_each(synapse):
    """Return how many clients each worker is connected with, once both of them run."""
    workers = synapse.processes()
    return {pid: synapse.connections(pid) for pid in workers} if len(workers) == 2 else {}
