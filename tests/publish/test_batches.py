"""Publishing many events in one request, on the fast path and in Django."""

import asyncio

import orjson
import pytest

GOOD = {"event_type": "order-placed", "order_id": 7}
BAD = {"event_type": "order-placed", "order_id": 0}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(autouse=True)
def orders(define):
    schema = {"required": ["order_id"], "properties": {"order_id": {"type": "integer", "minimum": 1}}}
    return define("orders", {"order-placed": schema})


def statuses(answer):
    return [result["status"] for result in answer.json["results"]]


def test_a_good_batch_is_stored_in_its_order(ask, redis):
    events = [{"event_type": "order-placed", "order_id": number} for number in range(1, 51)]

    answer = ask("POST", "/events/orders", orjson.dumps(events))

    assert answer.status == 200
    assert [int(fields[b"order_id"]) for _, fields in redis.xrange("orders")] == list(range(1, 51))
    assert [result["id"] for result in answer.json["results"]] == [id_.decode() for id_, _ in redis.xrange("orders")]
    assert answer.json["accepted"] == 50


def test_a_batch_with_a_bad_event_stores_the_others(ask, redis):
    answer = ask("POST", "/events/orders", orjson.dumps([GOOD, BAD, GOOD]))

    assert answer.status == 207
    assert statuses(answer) == ["accepted", "rejected", "accepted"]
    assert answer.json["results"][1]["errors"] == [
        {
            "type": "urn:synapse:problem:contract-violated",
            "pointer": "/order_id",
            "keyword": "minimum",
            "schema_pointer": "/properties/order_id/minimum",
            "message": "“order_id” must be 1 or more, but is 0.",
        }
    ]
    assert redis.xlen("orders") == 2


def test_a_batch_of_bad_events_is_a_problem_with_the_result_of_each(ask, redis):
    answer = ask("POST", "/events/orders", orjson.dumps([BAD, 5]))

    assert answer.status == 422
    assert answer.json["type"] == "urn:synapse:problem:batch-refused"
    assert statuses(answer) == ["rejected", "rejected"]
    assert redis.xlen("orders") == 0


@pytest.mark.parametrize("when_full", ["drop_oldest", "reject"])
def test_an_atomic_batch_stores_all(ask, redis, define, when_full):
    define("orders", when_full=when_full)

    answer = ask("POST", "/events/orders?atomic=true", orjson.dumps([GOOD, GOOD]))

    assert answer.status == 200
    assert [result["id"] for result in answer.json["results"]] == [id_.decode() for id_, _ in redis.xrange("orders")]


@pytest.mark.parametrize("when_full", ["drop_oldest", "reject"])
def test_an_atomic_batch_with_a_bad_event_stores_none(ask, redis, define, when_full):
    define("orders", when_full=when_full)

    answer = ask("POST", "/events/orders?atomic=true", orjson.dumps([GOOD, BAD]))

    assert answer.status == 422
    assert statuses(answer) == ["aborted", "rejected"]
    assert redis.xlen("orders") == 0


def test_an_atomic_batch_that_would_overfill_the_stream_stores_none(ask, redis, define):
    define("orders", when_full="reject", hard_length=3)

    answer = ask("POST", "/events/orders?atomic=true", orjson.dumps([GOOD] * 4))

    assert answer.status == 503
    assert statuses(answer) == ["aborted"] * 4
    assert redis.xlen("orders") == 0


@pytest.mark.parametrize("query", ["", "?atomic=true"])
def test_a_batch_that_a_full_redis_refuses_tells_why(ask, redis, query):
    redis.config_set("maxmemory", 1)
    try:
        answer = ask("POST", f"/events/orders{query}", orjson.dumps([GOOD] * 2))
    finally:
        redis.config_set("maxmemory", 0)

    assert answer.status == 503
    assert "OOM" in answer.json["detail"]
    assert redis.xlen("orders") == 0


def test_a_batch_that_overfills_the_stream_stores_what_fits(ask, redis, define):
    define("orders", when_full="reject", hard_length=3)

    answer = ask("POST", "/events/orders", orjson.dumps([GOOD] * 4))

    assert answer.status == 207
    assert statuses(answer) == ["accepted"] * 3 + ["aborted"]
    assert redis.xlen("orders") == 3


def test_a_line_of_ndjson_that_cannot_be_read_harms_no_other(ask, redis):
    lines = b"\n".join([orjson.dumps(GOOD), b"{oops", b"", orjson.dumps(GOOD) + b"\r", b'{"a":1,"a":2}'])

    answer = ask("POST", "/events/orders", lines, NDJSON)

    assert answer.status == 207
    assert statuses(answer) == ["accepted", "rejected", "accepted", "rejected"]
    assert answer.json["results"][3]["errors"][0]["message"] == 'The key "a" appears twice in one object.'
    assert redis.xlen("orders") == 2


def test_a_batch_can_be_validated_without_storing_it(ask, redis):
    answer = ask("POST", "/events/orders/validate", orjson.dumps([GOOD, BAD]))

    assert answer.status == 207
    assert statuses(answer) == ["accepted", "rejected"]
    assert answer.json["results"][0]["id"] is None
    assert redis.exists("orders") == 0


def test_an_event_over_its_limit_harms_no_other_of_the_batch(ask, redis):
    huge = {"event_type": "order-placed", "order_id": 1, "notes": ["x" * 60_000] * 5}

    answer = ask("POST", "/events/orders", orjson.dumps([GOOD, huge]))

    assert statuses(answer) == ["accepted", "rejected"]
    assert "262144" in answer.json["results"][1]["errors"][0]["message"]
    assert redis.xlen("orders") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 400), (b" ", 400), (b"[" + b"1," * 10_000 + b"1]", 413), (b"[1,", 400)],
    ids=["empty array", "nothing", "10,001 items", "cut off"],
)
def test_a_batch_that_cannot_be_read_as_a_whole_is_refused(ask, redis, body, status):
    assert ask("POST", "/events/orders", body).status == status
    assert redis.exists("orders") == 0


def test_atomic_is_true_or_false(ask):
    answer = ask("POST", "/events/orders?atomic=perhaps", orjson.dumps([GOOD]))

    assert answer.status == 400
    assert answer.json["parameter"] == "atomic"


def test_a_batch_of_many_bad_events_is_refused_without_spelling_out_all(ask):
    answer = ask("POST", "/events/orders", orjson.dumps([BAD] * 600))

    results = answer.json["results"]
    assert len(results) == 600
    assert results[0]["errors"][0]["keyword"] == "minimum"
    assert "too many violations were listed already" in results[-1]["errors"][0]["message"]


def test_others_are_answered_while_a_large_batch_is_checked(event_loop_client):
    large = b"[" + b",".join([orjson.dumps({**GOOD, "notes": ["x"] * 50})] * 2_000) + b"]"
    headers = {"host": "localhost", "content-type": "application/json"}

    async def ask_both():
        answered = []

        async def ask(path, body):
            answer = await event_loop_client.ask("POST", path, body, headers)
            answered.append(path)
            return answer

        await asyncio.gather(ask("/events/orders?large", large), ask("/events/orders?small", orjson.dumps(GOOD)))
        return answered

    assert event_loop_client.run(ask_both()) == ["/events/orders?small", "/events/orders?large"]
