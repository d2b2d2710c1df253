"""A Redis that answers and takes no events is down: health checks find out as a publish would."""

import orjson
import pytest

from streams import health as streams_health
from synapse.redis import ReplyError, Server, SyncExecutor
from synapse.redis.server_checks import write_probes
from tests.cluster.nodes import running_cluster, url_of

EVENT = orjson.dumps({"event_type": "order-placed"})


@pytest.fixture
def orders(define):
    define("orders", {"order-placed": None})


def full(client):
    client.config_set("maxmemory", 1)


def a_replica(client):
    client.replicaof("127.0.0.1", 1)


def without_its_replicas(client):
    client.config_set("min-replicas-to-write", 1)


STATES = {
    full: "Redis takes no events: OOM ",
    a_replica: "Redis takes no events: READONLY ",
    without_its_replicas: "Redis takes no events: NOREPLICAS ",
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_redis_is_down_while_it_refuses_every_write(ask, orders, own_valkey, state):
    with own_valkey.client() as client:
        state(client)

        published = ask("POST", "/events/orders", EVENT)
        health, readiness = ask("GET", "/health"), ask("GET", "/readyz")

    assert published.status == 503
    assert (health.status, health.json["redis"], health.json["database"]) == (503, "down", "ok")
    assert health.json["error"].startswith(STATES[state])
    assert (readiness.status, readiness.json) == (503, {"ready": False, "redis_status": "down"})
    assert ask("GET", "/healthz").status == 200


def test_redis_is_well_again_when_it_takes_writes_again(ask, own_valkey):
    with own_valkey.client() as client:
        full(client)
        assert ask("GET", "/readyz").status == 503

        client.config_set("maxmemory", 0)

    assert ask("GET", "/readyz").status == 200


def test_the_log_tells_once_that_writes_are_refused_and_once_that_they_are_taken(own_valkey, caplog):
    asking = streams_health.Prober()
    with own_valkey.client() as client, caplog.at_level("INFO"):
        asking.redis.step()
        full(client)
        asking.redis.step()
        asking.redis.step()
        client.config_set("maxmemory", 0)
        asking.redis.step()
        asking.redis.step()
    asking.stop()

    refused, works = [record.getMessage() for record in caplog.records]
    assert refused.startswith("Redis takes no events: OOM ")
    assert refused.endswith("'maxmemory'.")
    assert works == "Redis works again"


def test_asking_leaves_nothing_behind(ask, redis):
    changes = redis.info("persistence")["rdb_changes_since_last_save"]

    ask("GET", "/health")

    assert redis.keys() == []
    assert redis.info("persistence")["rdb_changes_since_last_save"] == changes


def test_each_primary_of_a_cluster_is_asked():
    with running_cluster() as nodes:
        executor = SyncExecutor(Server(locate=lambda: url_of(nodes), timeout=60))
        assert executor.execute(write_probes(executor.server)) == [None] * len(nodes)

        for node in nodes:
            with node.client() as client:
                full(client)
                replies = executor.execute(write_probes(executor.server))
                client.config_set("maxmemory", 0)
            assert [reply.code for reply in replies if isinstance(reply, ReplyError)] == ["OOM"]
        executor.close()
