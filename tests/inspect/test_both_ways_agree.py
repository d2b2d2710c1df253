"""The fast path and Django give equal answers to every read."""

import pytest

from tests.both_ways import DjangoAlone
from tests.publish.test_both_ways_agree import what_matters

PATHS = (
    *("/streams", "/streams/", "/streams/orders", "/streams/nowhere", "/streams/orders/info", "/streams/orders/info/"),
    *("/streams/nowhere/info", "/streams/taken/info", "/streams/orders/groups", "/streams/orders/messages"),
    *("/streams/orders/messages/?count=1", "/streams/orders/messages?count=abc", "/streams/orders/messages?count=2"),
    *("/streams/orders/messages?order=oldest&event_type=order-placed", "/streams/orders/messages?since=%C3%A9"),
    *("/streams/taken/messages", "/streams/%7B%7D/messages", "/streams/orders/messages/1-1", "/health", "/health/"),
    *("/streams/nowhere/live", "/streams/orders/live?since=soon", "/streams/orders/live/?last_event_id=x"),
    *(
        "/healthz",
        "/readyz",
        "/metrics",
        "/stats",
        "/stats?stream=orders&step=7",
        "/streams/orders/messages?count=1&count=x",
    ),
)


@pytest.fixture(autouse=True)
def streams(define, redis):
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}}})
    define("taken")
    redis.set("taken", "by another program")
    redis.xadd("orders", {"event": "order-placed", "n": "7"}, id="1-1")
    redis.xadd("orders", {"\u00e9": b"\xff"}, id="2-1")
    redis.xgroup_create("orders", "billing", "$")


@pytest.mark.parametrize("path", PATHS)
def test_the_fast_path_and_django_answer_a_get_alike(event_loop_client, path):
    assert what_matters(event_loop_client("GET", path)) == what_matters(DjangoAlone()("GET", path))


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/streams", "/streams/orders/info", "/streams/orders/messages", "/health"])
def test_the_fast_path_and_django_answer_other_methods_alike(event_loop_client, method, path):
    assert what_matters(event_loop_client(method, path)) == what_matters(DjangoAlone()(method, path))


def test_a_get_may_carry_a_body_that_means_nothing(ask):
    assert ask("GET", "/streams/orders/messages", b'{"count": 1}').status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_the_fast_path_and_django_answer_other_methods_than_watching_alike(event_loop_client, method):
    asked = (method, "/streams/orders/live")

    assert what_matters(event_loop_client(*asked)) == what_matters(DjangoAlone()(*asked))


def test_a_django_that_runs_alone_says_that_it_cannot_be_watched_through():
    answer = DjangoAlone()("GET", "/streams/orders/live")

    assert (answer.status, answer.json["type"]) == (501, "urn:synapse:problem:lane-only")
