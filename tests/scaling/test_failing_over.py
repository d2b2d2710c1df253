"""The primary dies under load: publishers hear 503, then it works again, and nothing acknowledged is lost."""

import pytest

from streams.snapshot import holder
from tests.bridges.cast import KeepingSink
from tests.chaos.profile import FULL
from tests.conftest import using
from tests.live.server import running_server, watching
from tests.patience import eventually
from tests.scaling.load import publishing
from tests.scaling.sentinel import Watched, watched_by_sentinels


@pytest.fixture
def watched(settings):
    with watched_by_sentinels(3 if FULL else 1) as servers, using(servers, settings):
        yield servers


@pytest.fixture
def server(watched, define):
    define("orders", {"order-placed": None}, durability="replicated")
    holder.refresh()
    with running_server() as running:
        yield running


def fail_over(watched: Watched, load) -> None:
    """Kill the primary, and start it again as a replica when publishers were refused and the Sentinels have another."""
    load.more(50)
    dead = watched.kill_the_primary()
    load.refused()
    watched.start_as_replica(dead)
    load.more(50)


def test_no_event_that_was_acknowledged_is_lost(watched, server, bridge):
    consumer = bridge(KeepingSink(), drain=False)
    urls = [f"{server.url}/events/orders"] * 4
    with watching(server.live(), timeout=30) as watch:
        with publishing(*urls) as load:
            for _ in range(10 if FULL else 1):
                fail_over(watched, load)
                consumer.run_dry()

        eventually(lambda: consumer.run_dry() and load.stored.keys() <= set(consumer.sink.ids), within=30)
        (client,) = watched.clients()
        with client:
            assert {id_.decode() for id_, _ in client.xrange("orders")} >= load.stored.keys()
        # The live tail has them all as well: it would wait here for one that never came.
        unseen = set(load.stored.values())
        while unseen:
            unseen.discard(watch.next().data["event"]["n"])

    assert set(load.answers) == {"201", "503"}
