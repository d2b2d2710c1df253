"""Publishing one event, on the fast path and in Django."""

import orjson
import pytest

from synapse.wire.trace_context import trace_fields

PLACED = {
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "integer", "minimum": 1}, "note": {"type": "string"}},
}


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders", {"order-placed": PLACED, "order-lost": None})


def post(ask, event, path="/events/orders", **headers):
    return ask("POST", path, orjson.dumps(event), headers)


def test_an_event_that_keeps_its_contract_is_stored(ask, redis):
    answer = post(ask, {"event_type": "order-placed", "order_id": 7})

    assert answer.status == 201
    ((entry_id, fields),) = redis.xrange("orders")
    assert fields[b"order_id"] == b"7"
    assert answer.json == {
        "id": entry_id.decode(),
        "entry_id": entry_id.decode(),
        "message_id": entry_id.decode(),
        "stream": "orders",
        "event_type": "order-placed",
        "contract_version": 1,
    }


def test_an_event_that_breaks_its_contract_is_refused_with_every_reason(ask, redis):
    answer = post(ask, {"event_type": "order-placed", "order_id": 0, "note": 5})

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == "urn:synapse:problem:contract-violated"
    assert answer.json["violations"] == [
        {
            "pointer": "/note",
            "keyword": "type",
            "schema_pointer": "/properties/note/type",
            "message": "“note” must be of type string, but is an integer (5).",
        },
        {
            "pointer": "/order_id",
            "keyword": "minimum",
            "schema_pointer": "/properties/order_id/minimum",
            "message": "“order_id” must be 1 or more, but is 0.",
        },
    ]
    assert redis.xlen("orders") == 0


def test_a_trailing_slash_is_the_same_route(ask):
    answer = post(ask, {"event_type": "order-placed", "order_id": 7}, path="/events/orders/")

    assert answer.status == 201


def test_the_property_event_is_read_as_the_event_type(ask, redis):
    answer = post(ask, {"event": "order-placed", "order_id": 7})

    assert answer.json["event_type"] == "order-placed"
    ((_, fields),) = redis.xrange("orders")
    assert fields[b"event"] == fields[b"event_type"] == b"order-placed"


def test_an_event_of_a_type_without_a_contract_is_stored_unchecked(ask):
    answer = post(ask, {"event_type": "order-lost", "anything": [1, {"goes": True}]})

    assert answer.status == 201
    assert answer.json["contract_version"] is None


def test_an_event_of_an_unknown_type_is_stored_where_the_stream_accepts_them(ask):
    answer = post(ask, {"event_type": "order-sung"})

    assert answer.status == 201
    assert answer.json["contract_version"] is None


def test_an_event_of_an_unknown_type_is_refused_where_the_stream_rejects_them(ask, define, redis):
    define("orders", unknown_event_types="reject")

    answer = post(ask, {"event_type": "order-sung"})

    assert answer.status == 422
    assert answer.json["type"] == "urn:synapse:problem:unknown-event-type"
    assert "“order-lost”, “order-placed”" in answer.json["detail"]
    assert redis.xlen("orders") == 0


def test_a_stream_that_only_warns_stores_the_event_and_says_what_it_breaks(ask, define, redis):
    define("orders", enforcement="warn")

    answer = post(ask, {"event_type": "order-placed"})

    assert answer.status == 201
    assert [warning["keyword"] for warning in answer.json["warnings"]] == ["required"]
    assert redis.xlen("orders") == 1


def test_a_stream_whose_enforcement_is_off_checks_nothing(ask, define):
    define("orders", enforcement="off")

    answer = post(ask, {"event_type": "order-placed"})

    assert answer.status == 201
    assert answer.json["contract_version"] is None
    assert "warnings" not in answer.json


def test_the_sentence_of_a_refusal_names_places_and_no_more_than_three(ask, define):
    define("orders", {"order-placed": {"properties": {name: {"type": "integer"} for name in "abcde"}}})

    two = post(ask, {"event_type": "order-placed", "a": "x", "b": []}).json["detail"]
    five = post(ask, {"event_type": "order-placed", **dict.fromkeys("abcde")}).json["detail"]

    assert two.endswith(
        'in 2 places: “a” must be of type integer, but is a string ("x"). “b” must be of type integer, but is an array.'
    )
    assert "in 5 places: “a” must" in five
    assert five.endswith(" “violations” has 2 more.")
    assert five.count("must be of type integer") == 3


def test_the_trace_of_the_publisher_is_kept_with_the_event(ask, redis):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    post(ask, {"event_type": "order-placed", "order_id": 7}, traceparent=trace)

    ((_, fields),) = redis.xrange("orders")
    assert fields[b"traceparent"] == trace.encode()


@pytest.mark.parametrize(
    ("traceparent", "tracestate", "kept"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", "vendor=1, other=2", True),
        (f"00-{'a' * 32}-{'b' * 16}-01", "x" * 512, True),
        (f"00-{'a' * 32}-{'b' * 16}-01", "x" * 513, False),
        (f"00-{'a' * 32}-{'b' * 16}-01", "", False),
        (f"00-{'a' * 32}-{'b' * 16}-01", "caf\u00e9=1", False),
        (f"00-{'0' * 32}-{'b' * 16}-01", "vendor=1", False),
        ("", "vendor=1", False),
    ],
)
def test_the_state_of_a_valid_trace_is_kept_beside_it(traceparent, tracestate, kept):
    fields = trace_fields(traceparent, tracestate)

    assert ("synapse_tracestate" in fields) == kept
    assert not kept or fields == {"traceparent": traceparent, "synapse_tracestate": tracestate}


def test_a_full_stream_that_rejects_answers_503_and_stores_nothing(ask, define, redis):
    define("orders", hard_length=2, when_full="reject")
    for order_id in (1, 2):
        assert post(ask, {"event_type": "order-placed", "order_id": order_id}).status == 201

    answer = post(ask, {"event_type": "order-placed", "order_id": 3})

    assert answer.status == 503
    assert answer.json["type"] == "urn:synapse:problem:stream-full"
    assert answer.headers["retry-after"] == "5"
    assert redis.xlen("orders") == 2


def test_a_stream_of_layout_dual_carries_one_typed_copy(ask, define, redis):
    define("orders", layout="dual")

    post(ask, {"event_type": "order-placed", "order_id": 7})

    ((_, fields),) = redis.xrange("orders")
    assert orjson.loads(fields[b"payload"]) == {"event_type": "order-placed", "order_id": 7}
    assert (fields[b"sender"], fields[b"priority"]) == (b"anonymous", b"normal")


def test_validating_says_what_publishing_would_and_stores_nothing(ask, redis):
    good = post(ask, {"event_type": "order-placed", "order_id": 7}, path="/events/orders/validate")
    bad = post(ask, {"event_type": "order-placed"}, path="/events/orders/validate/")

    assert (good.status, good.json) == (
        200,
        {"valid": True, "stream": "orders", "event_type": "order-placed", "contract_version": 1},
    )
    assert bad.json == post(ask, {"event_type": "order-placed"}).json
    assert redis.xlen("orders") == 0


def test_a_publish_to_a_redis_key_of_another_type_is_409(ask, redis):
    redis.set("orders", "not a stream")

    answer = post(ask, {"event_type": "order-lost"})

    assert answer.status == 409
    assert answer.json["type"] == "urn:synapse:problem:not-a-stream"
    assert redis.get("orders") == b"not a stream"
