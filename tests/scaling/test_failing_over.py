"""The primary dies under load: publishers hear 503, then it works again, and nothing acknowledged is lost."""

from contextlib import closing
from datetime import timedelta

import pytest

from streams import health as streams_health
from streams.snapshot import holder
from synapse.redis.cluster import topology
from tests.both_ways import EventLoopClient
from tests.bridges.cast import KeepingSink
from tests.chaos.profile import FULL
from tests.conftest import using
from tests.live.server import running_server, watching
from tests.patience import eventually
from tests.ports import free_port
from tests.scaling.cluster import clustered, clustered_with_a_replica
from tests.scaling.load import publishing
from tests.scaling.sentinel import watched_by_sentinels

EVENT = '{"event_type": "order-placed"}'


@pytest.fixture
def orders(define, monkeypatch):
    """A stream whose events are on a replica when they are acknowledged; one that is away is given up soon."""
    monkeypatch.setattr("streams.snapshot.patience_of", lambda _: timedelta(seconds=0.7))

    def defined():
        define("orders", {"order-placed": None}, durability="replicated")
        holder.refresh()
        return running_server()

    return defined


def have_all(bridge, watch, load) -> None:
    """Check that a bridge and a watcher got each acknowledged event; the wait for a lost one times out."""
    consumer = bridge(KeepingSink())
    eventually(lambda: consumer.run_dry() and load.stored.keys() <= set(consumer.sink.ids))
    unseen = set(load.stored.values())
    while unseen:
        unseen.discard(watch.next().data["event"]["n"])
    assert set(load.answers) == {"201", "503"}


def test_the_sentinels_make_the_replica_the_primary(settings, orders, bridge):
    with (
        watched_by_sentinels(3 if FULL else 1) as watched,
        using(watched, settings),
        orders() as server,
        watching(server.live(), timeout=60) as watch,
    ):
        with publishing(*[f"{server.url}/events/orders"] * 4) as load:
            for _ in range(10 if FULL else 1):
                load.more(50)
                dead = watched.kill_the_primary()
                load.refused()
                watched.start_as_replica(dead)
                load.more(50)

        have_all(bridge, watch, load)


def test_the_cluster_gives_the_slots_of_a_node_to_its_replica(settings, orders, bridge):
    with (
        clustered_with_a_replica(of="orders") as cluster,
        using(cluster, settings),
        orders() as server,
        watching(server.live(), timeout=60) as watch,
    ):
        with publishing(*[f"{server.url}/events/orders"] * 4) as load:
            for _ in range(10 if FULL else 1):
                load.more(50)
                dead = cluster.kill_the_primary()
                load.refused()
                cluster.start_as_replica(dead)
                load.more(50)

        have_all(bridge, watch, load)


@pytest.mark.django_db
def test_a_node_without_a_replica_takes_its_own_streams_along_and_no_others(settings, define):
    with (
        clustered("--cluster-require-full-coverage", "no") as cluster,
        using(cluster, settings),
        closing(EventLoopClient()) as ask,
    ):
        for name in ("orders", "payments"):
            define(name, {"order-placed": None})
        assert {ask("POST", f"/events/{name}", EVENT).status for name in ("orders", "payments")} == {201}

        cluster.home_of("orders").kill()

        refused, stored = (ask("POST", f"/events/{name}", EVENT) for name in ("orders", "payments"))
        listed = ask("GET", "/streams")
        assert ask("GET", "/streams/payments/groups").status == 200
        assert (refused.status, stored.status, listed.status) == (503, 201, 503)
        assert refused.headers["retry-after"] == "1"
        assert streams_health.check_now()["redis"]
        assert streams_health.check_now()["database"] == ""


@pytest.mark.django_db
def test_why_a_cluster_is_down_is_told_at_each_look(settings, monkeypatch):
    one, other = free_port(), free_port()
    settings.REDIS_URL = f"redis+cluster://127.0.0.1:{one},127.0.0.1:{other}"
    # No second attempt to find the nodes while the test lasts: what the first one heard is what is known.
    monkeypatch.setattr(topology, "PAUSE", 3600)

    first, second = streams_health.check_now()["redis"], streams_health.check_now()["redis"]

    assert "Connection refused" in first
    assert first == second
    with closing(EventLoopClient()) as ask:
        health = ask("GET", "/health")
    assert health.status == 503
    assert health.json["redis"] == "down"
    assert health.json["error"] == first
