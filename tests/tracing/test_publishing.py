"""Publishing in a trace: one span a request, whose context is stored with its events."""

import json

import pytest

from synapse.tracing import attributes, switch
from synapse.tracing.context import TraceContext
from synapse.tracing.sampler import Sampler
from synapse.tracing.span import MOST_LINKS
from synapse.tracing.tracer import Tracer
from synapse.wire.encoding import TRACESTATE
from tests.tracing.test_context import PARENT, SPAN, TRACE

ORDER = {"event_type": "order-placed", "n": 1}
HEADERS = {"content-type": "application/json", "traceparent": PARENT, "tracestate": "vendor=1"}


def stored(redis):
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in redis.xrange("orders")]


def publish(ask, body=ORDER, **headers):
    return ask("POST", "/events/orders", body=json.dumps(body).encode(), headers={**HEADERS, **headers})


def test_the_span_of_a_publish_is_a_child_of_the_callers_and_is_stored(ask, define, redis, spans):
    define("orders")

    answer = publish(ask)

    (span,) = [each for each in spans if each.kind == "PRODUCER"]
    (entry,) = stored(redis)
    assert (span.name, span.context.trace_id, span.error) == ("send orders", TRACE, "")
    assert span.attributes == {
        attributes.SYSTEM: "synapse",
        attributes.OPERATION_NAME: "send",
        attributes.OPERATION_TYPE: "send",
        attributes.DESTINATION: "orders",
        attributes.MESSAGE_ID: answer.json["id"],
    }
    assert entry["traceparent"] == span.context.traceparent != PARENT
    assert entry[TRACESTATE] == "vendor=1"
    # In Django the request has a span between.
    parents = {each.context.span_id for each in spans} | {SPAN}
    assert span.parent.span_id in parents
    assert span.parent.trace_id == TRACE
    assert 0 < span.begun_ns <= span.ended_ns


def test_a_batch_is_one_span_and_its_events_share_its_context(ask, define, redis, spans):
    define("orders")

    publish(ask, [ORDER, {"n": 2}, ORDER])

    (span,) = [each for each in spans if each.kind == "PRODUCER"]
    assert span.attributes[attributes.BATCH_COUNT] == 2
    assert [entry["traceparent"] for entry in stored(redis)] == [span.context.traceparent] * 2


EVENT = {"specversion": "1.0", "id": "1", "source": "/till", "type": "order-placed", "data": {"n": 1}}
PRODUCER = {"traceparent": PARENT, "tracestate": "vendor=1"}


@pytest.mark.parametrize(
    ("headers", "event"),
    [
        ({"content-type": "application/cloudevents+json"}, {**EVENT, **PRODUCER}),
        ({"content-type": "application/cloudevents+json", "traceparent": "00-x"}, {**EVENT, **PRODUCER}),
        (
            {
                "content-type": "application/json",
                **{f"ce-{name}": text for name, text in {**EVENT, **PRODUCER}.items() if name != "data"},
            },
            EVENT["data"],
        ),
    ],
)
def test_the_span_of_a_publish_is_a_child_of_the_trace_in_its_cloudevent(
    event_loop_client, define, redis, spans, headers, event
):
    define("orders")

    event_loop_client("POST", "/events/orders", body=json.dumps(event).encode(), headers=headers)

    (span,) = spans
    (entry,) = stored(redis)
    assert (span.parent.traceparent, span.context.trace_id) == (PARENT, TRACE)
    assert (entry["traceparent"], entry[TRACESTATE]) == (span.context.traceparent, "vendor=1")


def test_a_trace_that_the_producer_of_a_cloudevent_does_not_sample_is_not_sampled(
    event_loop_client, define, redis, spans
):
    define("orders")
    event = {**EVENT, "traceparent": f"{PARENT[:-2]}00"}
    headers = {"content-type": "application/cloudevents+json"}

    event_loop_client("POST", "/events/orders", body=json.dumps(event).encode(), headers=headers)

    (entry,) = stored(redis)
    assert (spans, entry["traceparent"]) == ([], event["traceparent"])


def test_the_span_of_a_batch_is_linked_to_each_trace_in_its_cloudevents(event_loop_client, define, redis, spans):
    define("orders")
    other = f"00-{'7' * 32}-{'8' * 16}-01"
    parents = [PARENT, other, PARENT]
    events = [EVENT, *({**EVENT, **PRODUCER, "id": str(n), "traceparent": each} for n, each in enumerate(parents, 2))]
    headers = {"content-type": "application/cloudevents-batch+json"}

    event_loop_client("POST", "/events/orders", body=json.dumps(events).encode(), headers=headers)

    (span,) = spans
    assert (span.parent, [link.traceparent for link in span.links]) == (None, [PARENT, other])
    assert [entry["traceparent"] for entry in stored(redis)] == [span.context.traceparent, *parents]


def test_a_span_has_the_first_links_up_to_their_limit():
    tracer = Tracer(Sampler(1.0), [].append)
    contexts = [TraceContext(TRACE, f"{number:016x}") for number in range(1, MOST_LINKS + 10)]
    span = tracer.start_send("orders", {})

    for context in contexts:
        span.link_to(context)

    assert [*span.links] == contexts[:MOST_LINKS]


def test_a_link_to_the_trace_of_a_cloudevent_has_no_tracestate(event_loop_client, define, spans):
    define("orders")
    headers = {"content-type": "application/cloudevents-batch+json"}

    event_loop_client("POST", "/events/orders", body=json.dumps([{**EVENT, **PRODUCER}]).encode(), headers=headers)

    (span,) = spans
    assert [(link.traceparent, link.state) for link in span.links] == [(PARENT, "")]


def test_a_refused_publish_is_a_span_with_the_problems_name_and_no_text_of_it(ask, define, redis, spans):
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}}})

    answer = publish(ask, {**ORDER, "n": "anna@example.org"})

    (span,) = [each for each in spans if each.kind == "PRODUCER"]
    assert (answer.status, answer.json["trace_id"]) == (422, TRACE)
    assert span.error == "contract-violated"
    assert "anna" not in repr([span.attributes, span.name, span.error])


def test_a_publish_without_a_trace_begins_one_and_a_refusal_tells_it(ask, define, redis, spans):
    define("orders")
    headers = {"content-type": "application/json"}

    ask("POST", "/events/orders", body=json.dumps(ORDER).encode(), headers=headers)
    refused = ask("POST", "/events/orders", body=b"{}", headers=headers)

    stored_, failed = [each for each in spans if each.kind == "PRODUCER"]
    (entry,) = stored(redis)
    assert entry["traceparent"] == stored_.context.traceparent
    assert refused.json["trace_id"] == failed.context.trace_id != stored_.context.trace_id


def test_an_event_that_is_not_sampled_is_stored_with_its_callers_trace_context(ask, define, redis, trace):
    define("orders")
    ended = trace(0.0)

    publish(ask)

    (entry,) = stored(redis)
    assert (entry["traceparent"], entry[TRACESTATE]) == (PARENT, "vendor=1")
    assert ended == []


def test_an_event_beyond_the_limit_of_sampled_ones_is_stored_as_not_sampled(ask, define, redis, trace):
    define("orders")
    trace(0.25)
    chosen = f"00-{'1' * 16}{'0' * 16}-{SPAN}"
    sampler = switch.tracer._sampler
    sampler._credit = sampler._gain = 0.0  # as after a hundred of them
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order-placed", "traceparent": f"{chosen}-01"}

    publish(ask, traceparent=f"{chosen}-01")
    publish(ask, event, **{"content-type": "application/cloudevents+json", "traceparent": ""})

    assert [entry["traceparent"] for entry in stored(redis)] == [f"{chosen}-00"] * 2


def test_the_trace_of_a_cloudevent_counts_once_against_the_limit_of_traces(event_loop_client, define, redis, spans):
    define("orders")
    sampler = switch.tracer._sampler
    sampler._credit, sampler._gain = 1.0, 0.0  # one more trace that a caller names is sampled
    # A null keeps it from the form of events that look alike.
    event = {**EVENT, "data": {"n": None}, "traceparent": PARENT}
    headers = {"content-type": "application/cloudevents-batch+json"}

    event_loop_client("POST", "/events/orders", body=json.dumps([event]).encode(), headers=headers)

    assert [entry["traceparent"] for entry in stored(redis)] == [PARENT]


def test_baggage_is_neither_stored_nor_an_attribute(ask, define, redis, spans):
    define("orders")

    publish(ask, baggage="user=anna")

    assert "anna" not in repr(stored(redis)) + repr([each.attributes for each in spans])


def test_a_stream_that_is_not_there_names_no_span(ask, define, redis, spans):
    answer = ask("POST", "/events/nowhere", body=b"{}", headers=HEADERS)

    assert answer.status == 404
    assert [each.name for each in spans if each.kind == "PRODUCER"] == []


def test_a_problem_tells_the_callers_trace_also_where_tracing_is_off(ask, define, redis):
    define("orders")

    assert publish(ask, {}).json["trace_id"] == TRACE
    assert ask("GET", "/nowhere", headers={"traceparent": PARENT}).json["trace_id"] == TRACE
    assert ask("GET", "/streams/nowhere/info", headers={"traceparent": PARENT}).json["trace_id"] == TRACE
    assert "trace_id" not in ask("GET", "/streams/nowhere/info", headers={"traceparent": "00-x"}).json
