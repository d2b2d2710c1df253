"""A publisher that sends again under its key until it is answered has each event stored once."""

from itertools import cycle

import orjson
import pytest

from tests.chaos.profile import FULL
from tests.proxy import proxy_to
from tests.valkey import PASSWORD

EVENTS = 30 if FULL else 10


@pytest.fixture
def proxy(valkey_of_session, redis, settings):
    with proxy_to(valkey_of_session.port) as proxy:
        settings.REDIS_URL = f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}/0"
        yield proxy


@pytest.mark.parametrize("path", ["/events/orders", "/events/orders?atomic=true"])
def test_events_sent_again_under_their_key_are_stored_exactly_once(proxy, redis, define, ask, path):
    define("orders", {"order-placed": None}, idempotency_key="required")
    together = 3 if "atomic" in path else 1

    def answered(number, *, loses=""):
        event = {"event_type": "order-placed", "order_id": number}
        body = orjson.dumps(event if together == 1 else [event] * together)
        proxy.drop_replies, proxy.drop_requests = loses == "reply", loses == "request"
        return ask("POST", path, body, {"idempotency-key": f"order-{number}"}).status

    for number, loses in zip(range(EVENTS), cycle(["reply", "request", ""])):
        status = answered(number, loses=loses)
        while status == 503:
            status = answered(number)
        assert status in (200, 201)

    stored = [int(fields[b"order_id"]) for _, fields in redis.xrange("orders")]
    assert stored == [number for number in range(EVENTS) for _ in range(together)]
    assert proxy.dropped >= EVENTS / 3
    assert int(redis.hget("syn:{orders}:stats", "duplicates") or 0) > 0
