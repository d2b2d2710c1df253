"""Bad input is answered with a 4xx that names the error, equal on the fast path and in Django; nothing is stored."""

import orjson
import pytest

from bridges.models import Bridge
from streams import connections
from streams.snapshot import holder
from tests.both_ways import DjangoAlone
from tests.publish.test_both_ways_agree import what_matters
from tests.pull.cast import GROUP, STREAM
from tests.tables import for_each

PUBLISH = {"stream": STREAM, "event_type": "order-placed", "payload": {"n": 1}}
READ = {"stream": STREAM, "consumer_group": GROUP, "consumer_name": "w", "block_ms": 0}
IDS = {"stream": STREAM, "consumer_group": GROUP, "entry_ids": ["1-1"]}
BAD_IDS = [None, [], ["1"], ["x-y"], ["1-18446744073709551616"], ["1-1"] * 1001, [" 1-1"]]


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


BAD = {
    **{f"publish without {name}": ("publish", without(PUBLISH, name)) for name in PUBLISH},
    **{f"read without {name}": ("read", without(READ, name)) for name in ("stream", "consumer_group", "consumer_name")},
    **{f"{verb} without {name}": (verb, without(IDS, name)) for verb in ("ack", "nack", "extend") for name in IDS},
    **{f"ids {number}": ("ack", {**IDS, "entry_ids": ids}) for number, ids in enumerate(BAD_IDS)},
    **{f"count {count!r}": ("read", {**READ, "count": count}) for count in (0, -1, 101)},
    **{f"block_ms {ms!r}": ("read", {**READ, "block_ms": ms}) for ms in (-1, 30_001)},
    **{f"group {name!r}": ("read", {**READ, "consumer_group": name}) for name in ("a b", "syn:x", "x" * 101)},
    **{f"consumer {name!r}": ("read", {**READ, "consumer_name": name}) for name in ("a\nb", "x" * 201)},
    **{f"delay {ms!r}": ("nack", {**IDS, "delay_ms": ms}) for ms in (-1, 604_800_001)},
    **{f"lease {ms!r}": ("extend", {**IDS, "lease_ms": ms}) for ms in (0, 999, 3_600_001)},
    "ttl is negative": ("publish", {**PUBLISH, "ttl_sec": -1}),
    "an array": ("publish", [PUBLISH]),
    "a number": ("read", 5),
    "nothing": ("ack", None),
}
ODD = {
    "no body": ("read", b"", {}, 400),
    "NDJSON": ("publish", orjson.dumps(PUBLISH), {"content-type": "application/x-ndjson"}, 400),
    "too much": ("publish", orjson.dumps({**PUBLISH, "payload": "x" * 300_000}), {}, 413),
    "an own name": ("publish", orjson.dumps({**PUBLISH, "payload": {"synapse_x": 1}}), {}, 400),
    "a type that is no name": ("publish", orjson.dumps({**PUBLISH, "event_type": "a b"}), {}, 422),
}
GOOD = {
    "a publish": ("publish", PUBLISH),
    "a publish to nowhere": ("publish", {**PUBLISH, "stream": "nowhere"}),
    "a publish against its contract": ("publish", {**PUBLISH, "payload": {}}),
    "a read": ("read", READ),
    "a read with an unknown member": ("read", {**READ, "colour": "red", "count": None}),
    "a read of an unknown stream": ("read", {**READ, "stream": "nowhere"}),
    "a read of a taken group": ("read", {**READ, "consumer_group": "taken"}),
    "an ack": ("ack", IDS),
    "a nack": ("nack", IDS),
    "an extend": ("extend", IDS),
}


@pytest.fixture(autouse=True)
def pulled(group):
    """The group is there, and one that is another bridge's."""
    group()
    group("taken", sink="console")
    holder.refresh()


@for_each("verb, body", BAD.values())
def test_a_bad_request_is_answered_400_with_a_sentence(ask, redis, verb, body):
    answer = ask("POST", f"/v1/{verb}", orjson.dumps(body))

    assert answer.status == 400, answer.body
    assert answer.json["error"] == answer.json["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert redis.exists(STREAM) == 0
    assert Bridge.objects.count() == 2


@for_each("name", ODD)
def test_a_body_that_cannot_be_read_is_refused(ask, redis, name):
    verb, body, headers, status = ODD[name]

    answer = ask("POST", f"/v1/{verb}", body, headers)

    assert (answer.status, "error" in answer.json) == (status, True)
    assert redis.exists(STREAM) == 0


@pytest.mark.parametrize("asked", GOOD.values(), ids=GOOD)
def test_the_fast_path_and_django_answer_alike(event_loop_client, asked):
    verb, body = asked
    question = ("POST", f"/v1/{verb}", orjson.dumps(body))

    assert what_matters(event_loop_client(*question)) == what_matters(DjangoAlone()(*question))


def test_every_route_of_the_pull_protocol_answers_503_without_redis(ask, settings, redis):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    connections.executor.cache_clear()
    connections.async_executor.cache_clear()

    for verb, body in (("publish", PUBLISH), ("read", READ), ("ack", IDS), ("nack", IDS), ("extend", IDS)):
        answer = ask("POST", f"/v1/{verb}", orjson.dumps(body))
        assert (answer.status, answer.json["type"]) == (503, "urn:synapse:problem:redis-down"), verb
        assert "queued" not in answer.json
