"""Redis stops answering while all publish: they are told so, nothing piles up, and it goes on by itself."""

import httpx
import pytest

from tests.patience import eventually
from tests.rough.load import crowd
from tests.rough.server import running_synapse

pytestmark = pytest.mark.nightly

MIB = 1024 * 1024
TIMES, SIZE = 10, 512
# Many times what the requests of all publishers hold.
MOST_GROWTH = 32 * MIB


@pytest.fixture
def synapse(tmp_path):
    """One that is as impatient as it comes; those of other tests are not, for the sake of busy machines."""
    with running_synapse(tmp_path, SYNAPSE_REDIS_TIMEOUT="900") as running:
        yield running


def test_publishes_to_a_frozen_redis_are_refused_and_acknowledged_events_are_stored_once(synapse, capsys):
    refusals, growth = [], []
    with crowd(synapse, SIZE) as publishers:
        for _ in range(TIMES):
            publishers.more(SIZE * 20)
            before, answered = synapse.memory(), publishers.answers[503]
            with synapse.valkey.frozen():
                # Everybody several times: also those that come when it is known that Redis does not answer.
                publishers.refused(SIZE * 10)
                sick = eventually(lambda: (found := health(synapse)).status_code == 503 and found)
                growth.append((synapse.memory() - before) / MIB)
            refusals.append(publishers.answers[503] - answered)
            publishers.more(SIZE * 20)
            eventually(lambda: health(synapse).status_code == 200)
    stored = synapse.stored()

    with capsys.disabled():
        shown = ", ".join(f"{size:.1f}" for size in growth)
        print(f"\n{SIZE} publishers: {dict(publishers.answers)}; refused while frozen {refusals}; MiB more: {shown}")
    assert sick.headers["retry-after"]
    assert publishers.answers.keys() <= {200, 201, 503}
    assert publishers.broken == 0
    assert max(growth) < MOST_GROWTH / MIB
    publishers.check(stored)
    # Those without a key that were refused may be stored: it was not known whether they are.
    in_doubt = (publishers.sent & set(stored.values())) - publishers.stored.keys()
    assert len(in_doubt) <= publishers.answers[503]


def health(synapse):
    return httpx.get(f"{synapse.url}/health", timeout=30)
