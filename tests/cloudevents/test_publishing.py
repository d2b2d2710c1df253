"""CloudEvents are published in structured, binary and batched mode, on the fast path and in Django."""

import orjson
import pytest

from synapse.wire import encoding
from tests.tables import for_each

EVENT = {
    "specversion": "1.0",
    "id": "A-7",
    "source": "/shop/checkout",
    "type": "order-placed",
    "time": "2026-01-31T12:00:00Z",
    "subject": "cart 12",
    "comexampleext": 5,
    "data": {"order_id": 7},
}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "A-7",
    "ce-source": "/shop/checkout",
    "ce-type": "order-placed",
    "ce-time": "2026-01-31T12:00:00Z",
    "ce-subject": "cart%2012",
    "ce-comexampleext": "5",
}
REPEATED = "idempotency-replayed"
BAD = "urn:synapse:problem:bad-cloudevent"


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders", {"order-placed": {"properties": {"order_id": {"type": "integer", "minimum": 1}}}})


def post(ask, value, headers=STRUCTURED, path="/events/orders", **more):
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return ask("POST", path, body, {**headers, **more})


def stored(redis):
    return [encoding.decode(fields) for _, fields in redis.xrange("orders")]


def pointers(answer):
    return [each["pointer"] for each in answer.json["violations"]]


def test_a_structured_cloudevent_is_stored_with_its_attributes(ask, redis):
    answer = post(ask, EVENT)

    assert (answer.status, answer.json["event_type"]) == (201, "order-placed")
    (entry,) = stored(redis)
    assert entry.event == {"event_type": "order-placed", "order_id": 7}
    assert (entry.source, entry.timestamp, entry.contract_version) == ("/shop/checkout", "2026-01-31T12:00:00Z", 1)
    assert entry.cloudevent == {
        "id": "A-7",
        "source": "/shop/checkout",
        "time": "2026-01-31T12:00:00Z",
        "subject": "cart 12",
        "comexampleext": 5,
    }


def test_a_binary_cloudevent_is_stored_with_its_attributes(ask, redis):
    assert post(ask, EVENT["data"], BINARY).status == 201

    (entry,) = stored(redis)
    assert entry.event == {"event_type": "order-placed", "order_id": 7}
    assert entry.cloudevent == {
        "id": "A-7",
        "source": "/shop/checkout",
        "time": "2026-01-31T12:00:00Z",
        "subject": "cart 12",
        "comexampleext": "5",
        "datacontenttype": "application/json",
    }


def test_headers_of_attributes_are_read_in_any_case(ask, redis):  # HTTP Protocol Binding, 3.1.3.1
    headers = {name.upper() if name.startswith("ce-") else name: text for name, text in BINARY.items()}

    assert post(ask, EVENT["data"], headers).status == 201
    assert stored(redis)[0].cloudevent["comexampleext"] == "5"


def test_a_binary_cloudevent_needs_no_body_and_no_content_type(ask, redis):
    headers = {name: text for name, text in BINARY.items() if name != "content-type"}

    assert post(ask, b"", headers).status == 201
    assert stored(redis)[0].event == {"event_type": "order-placed"}


def test_a_batch_is_answered_as_any_batch(ask, redis):
    bad = {"specversion": "1.0", "source": "/shop", "type": "order-placed"}

    answer = post(ask, [EVENT, bad, {**EVENT, "id": "A-8", "data": {"order_id": 0}}, 5, {**EVENT, "id": "A-9"}], BATCH)

    assert (answer.status, answer.json["accepted"], answer.json["rejected"]) == (207, 2, 3)
    errors = [[error["type"].rpartition(":")[2] for error in each["errors"]] for each in answer.json["results"]]
    assert errors == [[], ["bad-cloudevent"], ["contract-violated"], ["bad-cloudevent"], []]
    assert answer.json["results"][1]["errors"][0] == {"type": BAD, "pointer": "/id", "message": "“id” is missing."}
    assert [entry.cloudevent["id"] for entry in stored(redis)] == ["A-7", "A-9"]


def test_an_empty_batch_is_accepted(ask, redis):  # HTTP Protocol Binding, 3.3.2: the batch MAY be empty
    answer = post(ask, [], BATCH)

    assert (answer.status, answer.json["accepted"], answer.json["results"]) == (200, 0, [])


def test_a_large_batch_is_read_in_slices(ask, redis):
    events = [{**EVENT, "id": f"A-{number}", "data": {"order_id": 1, "pad": "x" * 200}} for number in range(300)]

    answer = post(ask, events, BATCH)

    assert (answer.status, answer.json["accepted"]) == (200, 300)
    assert [entry.cloudevent["id"] for entry in stored(redis)] == [each["id"] for each in events]
    assert post(ask, events, BATCH).headers[REPEATED] == "true"
    assert redis.xlen("orders") == 300


@pytest.mark.parametrize(("headers", "value"), [(STRUCTURED, EVENT), (BINARY, EVENT["data"]), (BATCH, [EVENT])])
def test_a_cloudevent_that_is_sent_again_is_stored_once(ask, redis, headers, value):
    first, again = post(ask, value, headers), post(ask, value, headers)

    assert (again.status, again.headers.get(REPEATED)) == (200, "true")
    assert REPEATED not in first.headers
    assert redis.xlen("orders") == 1


def test_a_cloudevent_that_is_sent_again_in_another_mode_is_stored_once(ask, redis):
    with_charset = {**BINARY, "content-type": "application/json; charset=utf-8"}
    answers = [post(ask, EVENT), post(ask, EVENT["data"], BINARY), post(ask, [EVENT], BATCH)]
    answers.append(post(ask, EVENT["data"], with_charset))

    assert [answer.status for answer in answers] == [201, 200, 200, 200]
    assert redis.xlen("orders") == 1


def test_a_batch_with_a_cloudevent_that_came_before_stores_the_others(ask, redis):
    post(ask, EVENT)

    answer = post(ask, [EVENT, {**EVENT, "id": "A-8"}, {**EVENT, "id": "A-8"}], BATCH)

    assert [each.get("replayed", False) for each in answer.json["results"]] == [True, False, True]
    assert redis.xlen("orders") == 2


@pytest.mark.parametrize("change", [{"data": {"order_id": 8}}, {"subject": "x"}, {"type": "order-cancelled"}])
def test_other_content_under_a_source_and_id_is_refused(ask, redis, change):
    post(ask, EVENT)

    answer = post(ask, EVENT | change)

    assert (answer.status, answer.json["type"]) == (422, "urn:synapse:problem:idempotency-key-reused")
    assert redis.xlen("orders") == 1


def test_another_source_or_stream_makes_another_event(ask, redis, define):
    define("returns")

    answers = [post(ask, EVENT), post(ask, EVENT | {"source": "/shop"}), post(ask, EVENT, path="/events/returns")]

    assert [answer.status for answer in answers] == [201] * 3


def test_the_cloudevents_of_two_callers_are_told_apart(ask, redis, key_of):
    keys = [key_of(service, publishes=["orders"]) for service in ("shop", "till")]

    answers = [post(ask, EVENT, authorization=f"Bearer {key}") for key in (*keys, *keys)]

    assert [answer.status for answer in answers] == [201, 201, 200, 200]
    assert redis.xlen("orders") == 2


def test_an_idempotency_key_of_a_request_is_none_of_a_cloudevent(ask, redis):
    post(ask, EVENT)

    answers = [
        post(ask, {"event_type": "order-placed"}, {"content-type": "application/json", "idempotency-key": key})
        for key in ("cloudevent/shop/checkoutA-7", "A-7", "/shop/checkout")
    ]

    assert [answer.status for answer in answers] == [201] * 3


def test_an_idempotency_key_takes_the_place_of_source_and_id(ask, redis):
    key = {"idempotency-key": "k"}

    answers = [post(ask, EVENT, **key), post(ask, EVENT), post(ask, EVENT, **key)]
    other = post(ask, EVENT | {"subject": "x"}, **key)

    assert [answer.status for answer in answers] == [201, 201, 200]
    assert other.status == 422
    assert redis.xlen("orders") == 2


def test_a_stream_that_requires_a_key_takes_a_cloudevent_without_one(ask, redis, define):
    define("orders", idempotency_key="required")

    assert post(ask, EVENT).status == 201
    assert post(ask, [EVENT | {"id": "A-8"}], BATCH).status == 200
    assert post(ask, {"event_type": "order-placed"}, {}).status == 400


@pytest.mark.parametrize("headers", [{"ce-id": "x"}, {"ce-specversion": "1.0"}, BINARY])
def test_headers_of_a_cloudevent_are_no_key_where_none_is_read(ask, redis, define, headers):
    define("orders", idempotency_key="required")
    event = {"stream": "orders", "event_type": "order-placed", "payload": {}}

    answer = post(ask, event, {"content-type": "application/json", **headers}, "/v1/publish")

    assert (answer.status, answer.json["parameter"]) == (400, "Idempotency-Key")
    assert redis.exists("orders") == 0


def test_validating_tells_the_same_and_stores_nothing(ask, redis):
    path = "/events/orders/validate"

    good, bad = post(ask, EVENT, path=path), post(ask, {**EVENT, "id": ""}, path=path)
    batch = post(ask, [EVENT, {}], BATCH, path)

    assert (good.status, good.json["valid"]) == (200, True)
    assert (bad.status, pointers(bad)) == (400, ["/id"])
    assert (batch.status, batch.json["accepted"]) == (207, 1)
    assert redis.exists("orders") == 0


def test_all_faults_are_told_at_once(ask, redis):
    answer = post(ask, {"specversion": "0.3", "data_base64": "eA==", "Ext": 1})

    assert (answer.status, answer.json["type"]) == (400, BAD)
    assert pointers(answer) == ["/specversion", "/id", "/source", "/type", "/Ext", "/data_base64"]
    assert "“specversion” is “0.3”" in answer.json["detail"]
    assert redis.exists("orders") == 0


def test_a_number_of_faults_is_told_of_an_event_and_of_a_batch(ask, redis):
    bad = {"data": 1, **{f"Name{n}": 1 for n in range(500)}}

    one, batch = post(ask, bad), post(ask, [bad] * 100, BATCH)

    assert (one.status, len(pointers(one))) == (400, 20)
    assert pointers(one)[:4] == ["/specversion", "/id", "/source", "/type"]
    results = [each["errors"] for each in batch.json["results"]]
    assert [len(errors) for errors in results] == [20] * 25 + [1] * 75
    assert "“specversion” is missing" in results[-1][0]["message"]


def test_the_attributes_of_a_cloudevent_count_as_the_keys_of_any_object(ask, redis):
    huge = {**EVENT, **{f"extension{number}": 1 for number in range(1024)}}

    one, batch = post(ask, huge), post(ask, [huge], BATCH)

    assert (one.status, batch.json["results"][0]["status"]) == (400, "rejected")
    assert "at most 1024 are accepted" in one.json["detail"]
    assert "at most 1024 are accepted" in batch.json["results"][0]["errors"][0]["message"]
    assert redis.exists("orders") == 0


@for_each("name", ["ce-id", "ce-source", "ce-type", "ce-specversion"])
def test_a_binary_cloudevent_without_a_required_header_is_refused(ask, name):
    answer = post(ask, EVENT["data"], {header: text for header, text in BINARY.items() if header != name})

    assert (answer.status, pointers(answer)) == (400, [f"/{name.removeprefix('ce-')}"])
    assert f"“{name}” is missing" in answer.json["detail"]


@for_each(
    "kind",
    [
        "application/cloudevents",
        "application/cloudevents+avro",
        "application/cloudevents-batch",
        "application/cloudeventsx",
    ],
)
def test_another_format_of_cloudevents_is_415(ask, kind):
    answer = post(ask, EVENT, {"content-type": kind})

    assert answer.status == 415
    assert "application/cloudevents-batch+json" in answer.headers["accept-post"]


@for_each("kind", ["text/xml", "application/x-ndjson", "application/json; charset=utf-16", "", "json"])
def test_a_binary_cloudevent_whose_data_is_no_json_is_415(ask, kind):
    assert post(ask, b"<a/>", {**BINARY, "content-type": kind}).status == 415


@for_each(
    "headers, value",
    [(STRUCTURED, [EVENT]), (BATCH, EVENT), (STRUCTURED, b"{"), (STRUCTURED, b""), (BATCH, b"[{]"), (BINARY, b"[1]")],
)
def test_a_body_of_another_form_is_400(ask, headers, value):
    assert post(ask, value, headers).status == 400


def test_headers_may_repeat_the_attributes_of_the_body(ask):  # HTTP Protocol Binding, 3.2.3
    assert post(ask, EVENT, {**BINARY, **STRUCTURED}).status == 201


@pytest.mark.parametrize("header", [{"ce-id": "A-8"}, {"ce-specversion": "0.3"}, {"ce-other": "x"}, {"ce-data": "x"}])
def test_headers_that_differ_from_the_body_are_refused(ask, redis, header):
    answer = post(ask, EVENT, {**STRUCTURED, **header})

    assert (answer.status, answer.json["type"]) == (400, BAD)
    assert "the body something else" in answer.json["detail"]


def test_a_batch_with_attributes_in_headers_is_refused(ask):
    assert post(ask, [EVENT], {**BATCH, "ce-id": "A-7"}).status == 400


def test_a_trace_of_the_producer_is_kept_unless_the_request_has_one(ask, redis):
    traces = [f"00-0af7651916cd43dd8448eb211c80319{digit}-b7ad6b7169203331-01" for digit in "ab"]
    event = EVENT | {"traceparent": traces[0], "tracestate": "a=1"}

    post(ask, event)
    post(ask, event | {"id": "A-8"}, traceparent=traces[1])

    first, second = (fields for _, fields in redis.xrange("orders"))
    assert (first[b"traceparent"].decode(), first[b"synapse_tracestate"]) == (traces[0], b"a=1")
    assert (second[b"traceparent"].decode(), second.get(b"synapse_tracestate")) == (traces[1], None)
    assert [entry.cloudevent["traceparent"] for entry in stored(redis)] == [traces[0]] * 2


def test_a_property_of_the_data_stands_before_an_attribute(ask, redis):
    post(ask, EVENT | {"data": {"source": "till 4", "timestamp": "noon", "synapse": 1}})

    (entry,) = stored(redis)
    assert (entry.source, entry.timestamp) == ("till 4", "noon")
    assert entry.cloudevent["source"] == "/shop/checkout"


def test_data_with_a_property_of_synapses_own_is_refused(ask):
    assert post(ask, EVENT | {"data": {"synapse_version": "1"}}).status == 400


def test_an_event_in_the_layout_dual_keeps_its_attributes(ask, redis, define):
    define("orders", layout="dual")

    post(ask, EVENT)

    (entry,) = stored(redis)
    assert (entry.layout, entry.source, entry.cloudevent["id"]) == ("dual", "/shop/checkout", "A-7")


@pytest.mark.parametrize("rules", [{"when_full": "reject"}, {"durability": "local"}])
def test_a_cloudevent_is_stored_once_in_a_stream_with_other_rules(ask, redis, define, rules):
    define("orders", **rules)

    assert post(ask, EVENT).status in (201, 503)
    assert post(ask, EVENT).status in (200, 503)
    assert redis.xlen("orders") == 1


@pytest.mark.parametrize("atomic", ["true", "false"])
def test_an_atomic_batch_that_is_sent_again_is_stored_once(ask, redis, atomic):
    path, events = f"/events/orders?atomic={atomic}", [EVENT, {**EVENT, "id": "A-8"}]

    first, again = post(ask, events, BATCH, path), post(ask, events, BATCH, path)

    assert (first.status, again.status, again.headers.get(REPEATED)) == (200, 200, "true")
    assert redis.xlen("orders") == 2


def test_an_atomic_batch_stores_the_cloudevents_that_are_new(ask, redis):
    path, others = "/events/orders?atomic=true", [{**EVENT, "id": f"A-{number}"} for number in (8, 9)]
    first = post(ask, EVENT).json["id"]

    answer = post(ask, [others[0], EVENT, others[1], others[0]], BATCH, path)
    alone = post(ask, others[1])

    results = answer.json["results"]
    assert [each.get("replayed", False) for each in results] == [False, True, False, True]
    assert (results[1]["id"], results[3]["id"]) == (first, results[0]["id"])
    assert (alone.status, alone.json["id"]) == (200, results[2]["id"])
    assert redis.xlen("orders") == 3


@pytest.mark.parametrize("rules", [{}, {"when_full": "reject"}])
def test_an_atomic_batch_with_other_content_under_a_source_and_id_stores_nothing(ask, redis, define, rules):
    define("orders", **rules)
    post(ask, EVENT)

    answer = post(ask, [{**EVENT, "id": "A-8"}, {**EVENT, "subject": "x"}], BATCH, "/events/orders?atomic=true")

    assert (answer.status, [each["status"] for each in answer.json["results"]]) == (422, ["aborted", "rejected"])
    assert answer.json["results"][1]["errors"][0]["type"] == "urn:synapse:problem:idempotency-key-reused"
    assert redis.xlen("orders") == 1


def test_an_atomic_batch_that_does_not_fit_stores_nothing(ask, redis, define):
    define("orders", when_full="reject", hard_length=2, max_length=2)
    path, others = "/events/orders?atomic=true", [{**EVENT, "id": f"A-{number}"} for number in (8, 9)]
    post(ask, EVENT)

    assert post(ask, [EVENT, *others], BATCH, path).status == 503
    assert post(ask, [EVENT, others[0]], BATCH, path).status == 200
    assert redis.xlen("orders") == 2


def test_an_atomic_batch_with_a_bad_cloudevent_stores_nothing(ask, redis):
    answer = post(ask, [EVENT, {}], BATCH, "/events/orders?atomic=true")

    assert [each["status"] for each in answer.json["results"]] == ["aborted", "rejected"]
    assert redis.exists("orders") == 0


def test_an_event_that_looks_like_a_cloudevent_is_told_its_content_type(ask):
    answer = post(ask, EVENT, {"content-type": "application/json"})

    assert answer.status == 422
    assert "application/cloudevents+json" in answer.json["detail"]


def test_a_stream_maps_types_to_its_event_types(ask, redis, define):
    define("orders", cloudevents_types={"com.example.order/placed": "order-placed"})

    answer = post(ask, EVENT | {"type": "com.example.order/placed"})

    assert (answer.status, answer.json["event_type"]) == (201, "order-placed")
    (entry,) = stored(redis)
    assert (entry.event_type, entry.cloudevent["type"]) == ("order-placed", "com.example.order/placed")


def test_a_type_that_is_no_name_of_an_event_type_asks_for_a_mapping(ask):
    answer = post(ask, EVENT | {"type": "com.example.order/placed"})

    assert (answer.status, pointers(answer)) == (400, ["/type"])
    assert "cloudevents_types" in answer.json["detail"]


def test_a_row_shows_the_attributes_as_they_came(ask):
    post(ask, EVENT | {"data": {"order_id": 7, "event_type": "order-placed"}})

    (row,) = ask("GET", "/streams/orders/messages").json["messages"]

    assert row["cloudevent"] == {
        name: value for name, value in EVENT.items() if name not in ("specversion", "type", "data")
    }
    assert ask("GET", f"/streams/orders/messages/{row['id']}").json["cloudevent"] == row["cloudevent"]


def test_a_row_of_another_event_has_no_attributes(ask):
    post(ask, {"event_type": "order-placed"}, {})

    assert "cloudevent" not in ask("GET", "/streams/orders/messages").json["messages"][0]


@pytest.mark.parametrize("value", [EVENT, [{**EVENT, "id": f"A-{number}"} for number in range(3)]])
def test_a_script_that_redis_forgot_is_sent_again(ask, redis, value):
    headers = BATCH if isinstance(value, list) else STRUCTURED
    post(ask, {**EVENT, "id": "before"})
    redis.script_flush()

    first, again = post(ask, value, headers), post(ask, value, headers)

    assert (first.status, again.status) == (200 if headers is BATCH else 201, 200)
    assert [entry.cloudevent["id"] for entry in stored(redis)][1:] == [
        each["id"] for each in (value if isinstance(value, list) else [value])
    ]
