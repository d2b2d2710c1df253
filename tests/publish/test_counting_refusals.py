"""Events that are not stored are counted on their stream, each for its reason."""

import orjson
import pytest

from streams import background_tasks
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.http.exchange import Request
from synapse.http.redis_problems import FAILURES
from synapse.publishing.counters import StreamCounters
from synapse.publishing.pipeline import publish_events
from synapse.redis.command import ReplyError
from synapse.redis.errors import RedisUnreachable, ReplyLost
from tests.admin.pages import text_of, url

PLACED = {"event_type": "order-placed", "n": 1}
KEYED = {"idempotency-key": "k"}


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders", {"order-placed": {"required": ["n"]}}, hard_length=2, when_full="reject")


def post(ask, body, path="/events/orders", **headers):
    return ask("POST", path, orjson.dumps(body), headers)


def counted(ask):
    """Return all that was refused, and the parts of it by reason."""
    background_tasks.flush_counters()
    found = ask("GET", "/streams/orders").json
    assert ask("GET", "/streams/orders/info").json["synapse"]["refused_by_reason"] == found["refused_by_reason"]
    return found["counters"]["refused"], found["refused_by_reason"]


def test_publishes_that_a_full_stream_refuses_are_counted_as_such(ask):
    for _ in range(5):
        post(ask, PLACED)

    assert counted(ask) == (3, {"stream-full": 3})


def test_each_event_of_a_batch_is_counted_for_its_own_reason(ask):
    answer = post(ask, [PLACED, {"event_type": "order-placed"}, PLACED, PLACED, 5])

    assert answer.json["accepted"] == 2
    assert counted(ask) == (3, {"bad-event": 1, "contract-violated": 1, "stream-full": 1})


def test_all_events_of_an_atomic_batch_for_which_there_is_no_room_are_counted(ask):
    post(ask, [PLACED] * 3, "/events/orders?atomic=true")

    assert counted(ask) == (3, {"stream-full": 3})


def test_a_batch_with_a_parameter_that_cannot_be_read_is_counted(ask):
    post(ask, [PLACED], "/events/orders?atomic=perhaps")
    post(ask, PLACED, "/events/orders?atomic=perhaps")

    assert counted(ask) == (1, {"bad-parameter": 1})


def test_the_reason_of_redis_ends_with_one_full_stop(ask, own_valkey):
    with own_valkey.client() as client:
        client.config_set("maxmemory", 1)

    for headers in ({}, KEYED):
        detail = post(ask, PLACED, **headers).json["detail"]
        assert detail.startswith("Redis did not store the event: OOM ")
        assert detail.endswith(".")
        assert not detail.endswith("..")


def test_an_event_that_is_sent_again_under_its_key_is_not_refused(ask):
    post(ask, PLACED, **KEYED)
    post(ask, PLACED, **KEYED)
    post(ask, {**PLACED, "n": 2}, **KEYED)

    assert counted(ask) == (1, {"idempotency-key-reused": 1})


def test_a_stream_that_drops_the_oldest_refuses_none(ask, define):
    define("orders", hard_length=2, when_full="drop_oldest")
    for _ in range(5):
        post(ask, PLACED)

    assert counted(ask) == (0, {})


def test_a_key_that_holds_no_stream_is_a_reason(ask, redis):
    redis.delete("orders")
    redis.set("orders", "text")

    post(ask, PLACED)
    background_tasks.flush_counters()

    assert redis.hget("syn:{orders}:stats", "refused:not-a-stream") == b"1"


def test_a_reason_that_another_program_wrote_is_passed_over(ask, redis):
    redis.hset("syn:{orders}:stats", mapping={"refused:<b>": 5, "refused:stream-full": "many"})

    assert counted(ask) == (0, {"stream-full": 0})


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (RedisUnreachable("It is gone."), {"refused": 1, "refused:redis-down": 1}),
        ([ReplyError("OOM command not allowed")], {"refused": 1, "refused:redis-refused": 1}),
        (ReplyLost("It is gone."), {}),
    ],
)
def test_an_event_that_redis_did_not_take_is_counted_and_one_that_it_may_have_is_not(define, answer, counts):
    define("orders", {"order-placed": None}, when_full="drop_oldest")
    counters = StreamCounters()
    body = orjson.dumps(PLACED)
    headers = {"content-type": "application/json"}
    request = Request(method="POST", path="", params={"stream": "orders"}, headers=headers, body=body, principal=SYSTEM)
    publishing = publish_events(request, holder.current(), counters)
    next(publishing)

    with pytest.raises(FAILURES):
        publishing.throw(answer) if isinstance(answer, Exception) else publishing.send(answer)

    assert {what: count for (_, what), count in counters.take_counts().items()} == counts


def test_the_admin_says_that_a_stream_is_full_and_what_was_refused(admin_client, event_loop_client, orders):
    for _ in range(3):
        post(event_loop_client, PLACED)
    background_tasks.flush_counters()

    pages = [
        admin_client.get(at) for at in (url("streams.stream"), url("streams.stream", "groups", orders.pk), "/admin/")
    ]

    for page in pages:
        assert "2 full" in text_of(page)
        assert 'title="stream-full 1"' in page.content.decode()
