"""Keys are looked for on every node of a cluster."""

from synapse.redis import Server
from synapse.redis.sync_executor import keys_of
from tests.cluster.conftest import node_of
from tests.cluster.nodes import url_of


def test_the_keys_of_all_nodes_are_found(redis, cluster):
    names = {f"syn:{{{stream}}}:stats" for stream in ("orders", "parcels", "payments", "a", "b", "inference-events")}
    for name in names:
        with node_of(cluster, name).client() as home:
            home.hset(name, "published", 1)

    found = list(keys_of(Server(locate=lambda: url_of(cluster), timeout=60), match="syn:{*"))

    for name in names:
        with node_of(cluster, name).client() as home:
            home.delete(name)
    assert sorted(found) == sorted(names)
