"""A user with the rights that the documentation lists is enough in a cluster."""

import pytest

from synapse.redis import Server, SyncExecutor, acl
from synapse.redis.commands import publishing as publish_commands
from synapse.redis.commands import streams as stream_commands
from tests.cluster.nodes import running_cluster, url_of
from tests.valkey import PASSWORD

# docs/reference/redis-acl.md
IN_A_CLUSTER = ("+asking", "+cluster|slots")


@pytest.fixture(scope="module")
def url():
    """The URL of a cluster in which Synapse has a user of its own."""
    rule = acl.rule("synapse", ["orders", "parcels", "payments"])
    with running_cluster() as nodes:
        for node in nodes:
            with node.client() as client:
                client.execute_command(*rule, *IN_A_CLUSTER, f">{PASSWORD}")
        yield url_of(nodes).replace("://:", "://synapse:")


def test_the_documented_user_publishes_and_reads_on_all_nodes(url):
    executor = SyncExecutor(Server(locate=lambda: url, timeout=60))
    once = {"who": "shop", "key": "k", "fingerprint": "f", "window_ms": 60_000}
    streams = ("orders", "parcels", "payments")

    stored = executor.execute([publish_commands.publish_once(name, [b"n", b"1"], **once) for name in streams])
    lengths = executor.execute([stream_commands.ping(), *(stream_commands.xlen(name) for name in streams)])
    executor.close()

    assert [one.outcome for one in stored] == ["stored"] * 3
    assert lengths == ["PONG", 1, 1, 1]
