"""Spans on their way to a collector: whole, in the background, and dropped rather than waited for."""

import os

import pytest

from streams import connections
from synapse.tracing import attributes
from synapse.tracing.context import TraceContext
from synapse.tracing.otlp import SpanQueue, describe_process
from synapse.tracing.sampler import Sampler
from synapse.tracing.tracer import Tracer
from tests.patience import eventually
from tests.tracing.collector import attributes_of
from tests.tracing.test_context import SPAN, TRACE

CALLER = TraceContext(TRACE, SPAN, 1, "vendor=1")


@pytest.fixture
def queue(collector):
    """Make a queue to the collector; what is dropped goes into its list `lost`."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    made = []

    def open_(*, most=100, batch=10, seconds=60.0):
        lost = []
        made.append(
            SpanQueue(
                lambda: OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces"),
                describe_process(),
                dropped=lambda stream, by: lost.append((stream, by)),
                most=most,
                batch=batch,
                seconds=seconds,
            )
        )
        made[-1].lost = lost
        return made[-1]

    yield open_
    collector.answers.set()
    for each in made:
        each.close()


def ended(queue, count=1, **headers):
    tracer = Tracer(Sampler(1.0), queue.put)
    for _ in range(count):
        tracer.finish(tracer.start_send("orders", headers or CALLER.headers))


def test_a_collector_gets_a_span_with_all_that_it_says(collector, queue):
    opened = queue()
    tracer = Tracer(Sampler(1.0), opened.put)
    span = tracer.start_process("orders", "17-0", group="shop", attempt=2, context=CALLER, relation="link")
    span.error = "timeout"
    tracer.finish(span)

    opened.close()

    (got,), (resource,) = collector.spans, collector.resources
    assert (got.name, got.kind, got.status.code) == ("process orders", 5, 2)
    assert (got.trace_id.hex(), got.span_id.hex()) == span.context[:2]
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in got.links] == [(TRACE, SPAN)]
    assert attributes_of(got) == {**span.attributes, attributes.ERROR_TYPE: "timeout"}
    assert got.start_time_unix_nano == span.begun_ns
    assert resource["service.name"] == "synapse"


def test_the_parent_of_a_span_is_named(collector, queue):
    opened = queue()
    ended(opened)

    opened.close()

    (got,) = collector.spans
    assert (got.trace_id.hex(), got.parent_span_id.hex(), got.trace_state) == (TRACE, SPAN, "vendor=1")


def test_a_full_batch_is_sent_at_once(collector, queue):
    opened = queue(batch=10)

    ended(opened, 10)

    eventually(lambda: len(collector.spans) == 10)
    assert opened.lost == []


def test_spans_beyond_the_queue_are_dropped_and_counted_while_the_collector_hangs(collector, queue):
    collector.answers.clear()
    opened = queue(most=20, batch=10)
    ended(opened, 10)
    eventually(collector.asked.is_set)

    ended(opened, 1000)  # returns, although the collector answers nothing

    assert len(opened.lost) == 980
    assert set(opened.lost) == {("orders", 1)}
    collector.answers.set()
    opened.close(30)
    assert len(collector.spans) == 30


def test_spans_that_wait_behind_a_batch_keep_one_link(collector, queue):
    collector.answers.clear()
    opened = queue(most=20, batch=2)
    ended(opened, 2)
    eventually(collector.asked.is_set)
    tracer = Tracer(Sampler(1.0), opened.put)
    spans = [tracer.start_send("orders", {}) for _ in range(3)]
    contexts = [TraceContext(TRACE, f"{number:016x}") for number in (1, 2, 3)]

    for span in spans:
        for context in contexts:
            span.link_to(context)
        tracer.finish(span)

    assert [[*span.links] for span in spans] == [contexts, contexts, contexts[:1]]


def test_a_collector_that_refuses_loses_the_spans_that_it_refused(collector, queue):
    collector.status = 400
    opened = queue()
    ended(opened, 3)

    opened.close()

    assert opened.lost == [("orders", 1)] * 3
    assert collector.spans == []


def test_spans_that_are_not_sent_are_told_once_a_minute(collector, queue, caplog):
    collector.status = 400
    opened = queue()
    ended(opened, 3)

    opened.send()
    ended(opened, 2)
    opened.close()

    assert opened.lost == [("orders", 1)] * 5
    assert [line for line in caplog.messages if "spans were not sent" in line] == [
        "3 spans were not sent: the collector was not reached, or did not take them."
    ]


def test_a_collector_that_hangs_does_not_keep_a_process_from_ending(collector, queue):
    collector.answers.clear()
    opened = queue(batch=1)
    ended(opened)
    eventually(collector.asked.is_set)

    opened.close(0.01)

    assert not collector.answers.is_set()


@pytest.mark.process
def test_a_forked_process_sends_its_own_spans_and_not_those_of_its_parent(collector, queue):
    opened = queue(seconds=60)
    ended(opened)
    opened.send()
    ended(opened)

    child = os.fork()
    if child == 0:
        ended(opened, traceparent=f"00-{TRACE}-{'a' * 16}-01")
        opened.close(30)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert [span.parent_span_id.hex() for span in collector.spans] == [SPAN, "a" * 16]
    opened.close()
    assert [span.parent_span_id.hex() for span in collector.spans] == [SPAN, "a" * 16, SPAN]


@pytest.mark.process
def test_a_forked_process_does_not_send_over_the_connection_of_its_parent(collector, queue):
    opened = queue(seconds=60)
    ended(opened)
    opened.send()
    ended(opened)
    opened.send()
    assert collector.connections == 1

    child = os.fork()
    if child == 0:
        ended(opened)
        opened.close(30)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert collector.connections == 2


def test_dropped_spans_are_a_metric_of_their_stream(event_loop_client, define, redis):
    from streams.tracing import count_dropped

    define("orders")
    count_dropped("orders", 3)
    count_dropped("", 5)
    connections.executor().run(connections.counters.flush())

    text = event_loop_client("GET", "/metrics", headers={"accept": "text/plain"}).body.decode()

    assert 'synapse_spans_dropped_total{stream="orders"} 3.0' in text
