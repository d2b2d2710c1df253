"""The fast path and Django give equal answers: status, body, and all headers but a few, for every kind of request."""

import re

import orjson

from tests.both_ways import DjangoAlone, headers_of
from tests.tables import for_each

GOOD = orjson.dumps({"event_type": "order-placed", "order_id": 7})
OTHER = orjson.dumps({"event_type": "order-lost"})
TEXT = {"content-type": "text/plain"}
NDJSON = {"content-type": "application/x-ndjson"}

# what is asked: method, path, body, headers
REQUESTS = {
    "a good event": ("POST", "/events/orders", GOOD, {}),
    "a good event with a slash": ("POST", "/events/orders/", GOOD, {}),
    "a good event of a version": ("POST", "/events/orders", GOOD, {"synapse-contract-version": "1"}),
    "a good event of no version": ("POST", "/events/orders", GOOD, {"synapse-contract-version": "9"}),
    "a version that is none": ("POST", "/events/orders", GOOD, {"synapse-contract-version": "latest"}),
    "a good event in a charset": ("POST", "/events/orders", GOOD, {"content-type": "application/json; charset=utf-8"}),
    "a good event from a page": ("POST", "/events/orders", GOOD, {"origin": "http://localhost:5173"}),
    "a good event from a strange page": ("POST", "/events/orders", GOOD, {"origin": "http://evil.example"}),
    "a good event with a key": ("POST", "/events/orders", GOOD, {"idempotency-key": "new"}),
    "a good event that was sent before": ("POST", "/events/orders", GOOD, {"idempotency-key": "used"}),
    "another event under a used key": ("POST", "/events/orders", OTHER, {"idempotency-key": "used"}),
    "a key that cannot be used": ("POST", "/events/orders", GOOD, {"idempotency-key": "a b"}),
    "a batch under a used key": ("POST", "/events/orders", b"[" + GOOD + b"]", {"idempotency-key": "used"}),
    "an atomic one under a used key": (
        *("POST", "/events/orders?atomic=true", b"[" + GOOD + b"]"),
        {"idempotency-key": "used"},
    ),
    "no key where one is required": ("POST", "/events/payments", OTHER, {}),
    "an event that breaks its contract": ("POST", "/events/orders", b'{"event_type":"order-placed"}', {}),
    "a batch": ("POST", "/events/orders", b"[" + GOOD + b"," + GOOD + b"]", {}),
    "a mixed batch": ("POST", "/events/orders", b"[" + GOOD + b",5]", {}),
    "an atomic mixed batch": ("POST", "/events/orders?atomic=true", b"[" + GOOD + b",5]", {}),
    "a batch in lines": ("POST", "/events/orders", GOOD + b"\n" + GOOD, NDJSON),
    "a batch onto a key that holds something else": ("POST", "/events/taken", b"[" + OTHER + b"," + OTHER + b"]", {}),
    "an atomic one": ("POST", "/events/taken?atomic=true", b"[" + OTHER + b"," + OTHER + b"]", {}),
    "a validation": ("POST", "/events/orders/validate", GOOD, {}),
    "a failed validation": ("POST", "/events/orders/validate/", b'{"event_type":"order-placed"}', {}),
    "an unknown stream": ("POST", "/events/nowhere", GOOD, {}),
    "a stream of a strange name": ("POST", "/events/%7B%7D", GOOD, {}),
    "no content type": ("POST", "/events/orders", GOOD, {"content-type": ""}),
    "a compressed body": ("POST", "/events/orders", b"\x1f\x8b", {"content-encoding": "gzip"}),
    "a wrong content type": ("POST", "/events/orders", GOOD, TEXT),
    "a body that is no JSON": ("POST", "/events/orders", b"{oops", {}),
    "no body": ("POST", "/events/orders", b"", {}),
    "a wrong parameter": ("POST", "/events/orders?atomic=perhaps", b"[" + GOOD + b"]", {}),
    "a wrong method": ("GET", "/events/orders", b"", {}),
    "another wrong method": ("DELETE", "/events/orders/validate", b"", {}),
    "a preflight": ("OPTIONS", "/events/orders", b"", {"origin": "http://localhost:5173"}),
    "a preflight that asks": (
        *("OPTIONS", "/events/orders", b""),
        {
            "origin": "http://localhost:5173",
            "access-control-request-method": "POST",
            "access-control-request-headers": "synapse-contract-version",
        },
    ),
    "an unknown path": ("GET", "/nowhere", b"", {}),
    "a body over every limit": ("POST", "/events/orders", b"[" + b"1," * 5_000_000 + b"1]", {}),
    "a host that is not ours": ("POST", "/events/orders", GOOD, {"host": "evil.example"}),
}


def what_matters(answer):
    body = re.sub(rb"\d{13}-\d+", b"<id>", answer.body)
    body = re.sub(rb'"uptime":\d+', b'"uptime":<seconds>', body)
    return answer.status, headers_of(answer), body


@for_each("name", REQUESTS)
def test_the_fast_path_and_django_answer_alike(event_loop_client, define, redis, name):
    define("orders", {"order-placed": {"required": ["order_id"]}})
    define("taken")
    define("payments", idempotency_key="required")
    redis.set("taken", "not a stream")

    answers = []
    for way in (event_loop_client, DjangoAlone()):
        # What one way stored is no news to the other.
        for key in redis.keys("syn:*:idem:*"):
            redis.delete(key)
        way("POST", "/events/orders", GOOD, {"idempotency-key": "used"})
        answers.append(what_matters(way(*REQUESTS[name])))

    assert answers[0] == answers[1]


def test_the_fast_path_and_django_answer_alike_when_redis_is_down(event_loop_client, define, own_valkey):
    define("orders", {"order-placed": {"required": ["order_id"]}})
    own_valkey.kill()
    asked = REQUESTS["a good event"]

    answer = event_loop_client(*asked)

    assert (answer.status, answer.json["type"]) == (503, "urn:synapse:problem:redis-down")
    assert answer.headers["retry-after"] == "1"
    other = DjangoAlone()(*asked)
    assert (other.status, other.json["type"]) == (503, "urn:synapse:problem:redis-down")


def test_pages_of_other_sites_may_ask_for_a_version(event_loop_client):
    answer = event_loop_client(*REQUESTS["a preflight that asks"])

    assert "synapse-contract-version" in answer.headers["access-control-allow-headers"]
