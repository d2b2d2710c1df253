"""Statistics and metrics tell the same figures: both read the counters that processes flush to Redis."""

import re

import orjson

from streams import connections

PROMETHEUS = {"accept": "text/plain;version=0.0.4"}
GOOD, BAD = orjson.dumps({"event_type": "order-placed", "n": 1}), orjson.dumps({"event_type": "order-placed", "n": "x"})


def test_statistics_and_metrics_count_alike(event_loop_client, define, scene):
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}}})
    scene.sample()
    for good, bad in ((3, 1), (0, 2), (4, 0)):
        answers = [event_loop_client("POST", "/events/orders", body).status for body in [GOOD] * good + [BAD] * bad]
        assert answers == [201] * good + [422] * bad
        connections.executor().run(connections.counters.flush())
        scene.sample()

    exposed = event_loop_client("GET", "/metrics", headers=PROMETHEUS).body.decode()
    counted = {
        name: float(re.search(rf"^synapse_events_{name}_total{{.*stream=\"orders\"}} (\S+)$", exposed, re.MULTILINE)[1])
        for name in ("published", "refused")
    }
    assert scene.row("published", steps=3) == [3, 0, 4]
    assert scene.row("refused", steps=3) == [1, 2, 0]
    assert counted == {"published": 7, "refused": 3}
    assert scene.row("length", steps=1) == [7]
