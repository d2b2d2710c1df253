"""Deliveries in a trace: a span for each attempt, linked to the publish, whose context the receiver gets."""

import pytest
from opentelemetry.trace import get_current_span

from bridges.dead_letters import actions
from bridges.sinks.stream import StreamConfig, StreamSink
from bridges.sinks.webhook import WebhookConfig, WebhookSink
from synapse.auth.principal import Principal
from synapse.dead_letters import Ids
from synapse.delivery.handlers import pack_batch, unpack_batch
from synapse.delivery.sink import Sink
from synapse.errors.delivery import SinkError
from synapse.tracing import attributes, switch
from synapse.tracing.attachment import attach_context
from synapse.tracing.context import TraceContext, read_context
from synapse.wire.encoding import TRACESTATE
from tests.bridges.cast import GROUP, STREAM, TWICE, always
from tests.bridges.receiver import Receiver
from tests.bridges.sinks import definition, delivery
from tests.definitions import define
from tests.tracing.test_context import PARENT, SPAN, TRACE

CONTEXT = TraceContext(TRACE, SPAN, 1)
ORDER = {"event_type": "order-placed", "n": 1}


def stored(redis, parent=PARENT, **fields):
    return redis.xadd(STREAM, {**ORDER, "synapse_version": 0, "synapse_added": "c", "traceparent": parent, **fields})


class Refusing(Sink):
    """Refuses all events, as a receiver that answers 503."""

    def deliver(self, batch, may_begin):
        return [SinkError("the receiver quoted anna@example.org", failure="http-5xx", status=503) for _ in batch]


def test_a_delivery_is_a_trace_of_its_own_that_is_linked_to_the_publish(redis, bridge, spans):
    made = bridge()
    id_ = stored(redis).decode()

    made.run_dry()

    (span,) = spans
    assert (span.name, span.kind, span.parent, [*span.links]) == ("process orders", "CONSUMER", None, [CONTEXT])
    assert span.context.trace_id != TRACE
    assert span.attributes == {
        attributes.SYSTEM: "synapse",
        attributes.OPERATION_NAME: "process",
        attributes.OPERATION_TYPE: "process",
        attributes.DESTINATION: STREAM,
        attributes.CONSUMER_GROUP: GROUP,
        attributes.MESSAGE_ID: id_,
        attributes.ATTEMPT: 1,
        attributes.OUTCOME: "delivered",
    }


def test_a_delivery_is_a_child_of_the_publish_where_the_bridge_says_so(redis, bridge, spans):
    made = bridge(tracing="parent")
    stored(redis)

    made.run_dry()

    (span,) = spans
    assert (span.parent, span.links, span.context.trace_id) == (CONTEXT, {}, TRACE)


def test_each_attempt_is_a_span_with_its_outcome_and_without_the_text_of_its_error(redis, bridge, spans):
    made = bridge(Refusing(), retry=TWICE)
    stored(redis)

    made.run_dry()

    assert [(span.attributes[attributes.ATTEMPT], span.attributes[attributes.OUTCOME]) for span in spans] == [
        (1, "retry"),
        (2, "dead"),
    ]
    assert {link for span in spans for link in span.links} == {CONTEXT}
    assert {(span.error, span.attributes[attributes.HTTP_STATUS]) for span in spans} == {("http-5xx", 503)}
    assert "anna" not in repr([(span.attributes, span.error, span.name) for span in spans])
    assert all(f"(trace {span.context.trace_id})" in line for span, line in zip(spans, made.said[-2:], strict=True))


def test_a_redriven_event_keeps_the_link_and_one_that_was_edited_too(redis, bridge, spans, db):
    define(STREAM)
    made = bridge(Refusing(), retry=TWICE)
    stored(redis)
    made.run_dry()
    by = Principal(kind="system", name="tests")
    for edited in (False, True):
        ((letter, _),) = redis.xrange(f"syn:{{{STREAM}}}:dlq:{GROUP}")
        if edited:
            actions.redrive_edited(STREAM, GROUP, letter.decode(), {**ORDER, "n": 2}, by=by)
        else:
            actions.redrive(STREAM, GROUP, Ids([letter.decode()]), by=by)
        spans.clear()
        made.run_dry()
        assert {link for span in spans for link in span.links} == {CONTEXT}


def test_an_event_without_a_trace_is_a_trace_without_a_link(redis, bridge, spans):
    made = bridge()
    redis.xadd(STREAM, ORDER)

    made.run_dry()

    (span,) = spans
    assert (span.parent, span.links) == (None, {})


def test_an_event_that_was_not_sampled_is_not_traced(redis, bridge, spans):
    made = bridge()
    stored(redis, f"{PARENT[:-2]}00")

    made.run_dry()

    assert len(made.sink.got) == 1
    assert spans == []


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def webhook(receiver):
    bridge = definition("webhook", handler_timeout_seconds=60)
    return WebhookSink.open(WebhookConfig.read({"url": receiver.url, "secret": "shop"}), bridge, stopping=lambda: False)


def test_a_receiver_gets_the_context_of_the_attempt(redis, bridge, spans, receiver, webhooks, db):
    sink = webhook(receiver)
    made = bridge(sink, tracing="parent")
    stored(redis, **{TRACESTATE: "vendor=1", "synapse_added": "c"})

    made.run_dry()
    sink.close()

    (span,), (request,) = spans, receiver.got
    assert request.headers["traceparent"] == span.context.traceparent
    assert request.headers["tracestate"] == "vendor=1"


@pytest.mark.parametrize("parent", [PARENT, f"{PARENT}\r\nx-other: 1", "nonsense"])
def test_without_tracing_a_receiver_gets_the_context_that_is_stored_or_none(parent, receiver, webhooks, db):
    sink = webhook(receiver)

    outcomes = sink.deliver([delivery({**ORDER, "traceparent": parent, TRACESTATE: "vendor=1"})], always)
    sink.close()

    (request,) = receiver.got
    assert outcomes == [None]
    if parent == PARENT:
        assert (request.headers["traceparent"], request.headers["tracestate"]) == (PARENT, "vendor=1")
    else:
        assert not {"traceparent", "tracestate", "x-other"} & set(request.headers)


def test_an_event_that_a_bridge_forwards_to_another_stream_has_the_delivery_as_parent(redis, bridge, spans, db):
    define("copies")
    to_copies = definition("stream", config={"stream": "copies"})
    made = bridge(StreamSink.open(StreamConfig.read({"stream": "copies"}), to_copies, stopping=lambda: False))
    stored(redis)

    made.run_dry()

    send, process = spans
    ((id_, fields),) = redis.xrange("copies")
    assert (process.name, send.name, send.kind) == ("process orders", "send copies", "PRODUCER")
    assert (send.parent, [*process.links]) == (process.context, [CONTEXT])
    assert send.attributes[attributes.MESSAGE_ID] == id_.decode()
    assert read_context(fields[b"traceparent"].decode()) == send.context


def test_a_handler_that_uses_opentelemetry_runs_in_the_context_of_the_delivery(spans):
    one = delivery({**ORDER, "traceparent": PARENT})
    one.span = switch.tracer.start_process("orders", one.id, group="g", attempt=1, context=CONTEXT, relation="link")
    (there,) = unpack_batch(pack_batch([one]))

    with attach_context(there.trace):
        context = get_current_span().get_span_context()

    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == one.span.context[:2]
    assert not get_current_span().get_span_context().is_valid


def test_a_handler_gets_the_context_that_is_stored_where_the_attempt_is_not_traced():
    (there,) = unpack_batch(pack_batch([delivery({**ORDER, "traceparent": PARENT})]))

    assert there.trace == CONTEXT
