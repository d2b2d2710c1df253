"""Where people and programs see the trace of an event, and a way from there to its page in a viewer."""

import json
import logging

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from django.template import Context, Template
from django.urls import resolve

from streams.tracing import TracingMiddleware
from synapse.pull.protocol import delivery_json
from synapse.runtime.log_format import TRACE_ID, JsonLines, TextLines
from synapse.tracing import attributes
from synapse.tracing.settings import TraceSettings
from tests.bridges.cast import GROUP, STREAM, TWICE, KeepingSink
from tests.bridges.sinks import delivery
from tests.tracing.test_context import PARENT, SPAN, TRACE


def shown(trace_id):
    return Template("{% load synapse %}{{ id|trace_link }}").render(Context({"id": trace_id}))


def test_a_trace_id_is_a_link_to_the_viewer_of_the_settings(settings):
    settings.TRACE_URL = "https://traces.example.org/trace/{trace_id}?from=synapse&x=1"

    assert shown(TRACE) == (
        f'<a class="s-mono" href="https://traces.example.org/trace/{TRACE}?from=synapse&amp;x=1" rel="noreferrer">'
        f"{TRACE}</a>"
    )


def test_a_trace_id_is_text_without_a_viewer():
    assert shown(TRACE) == f'<span class="s-mono">{TRACE}</span>'


def test_a_dead_letter_tells_the_trace_of_its_publish(ask, define, redis, bridge):
    define(STREAM)
    redis.xadd(STREAM, {"event_type": "order-placed", "synapse_version": 0, "traceparent": PARENT})
    bridge(KeepingSink(lambda _: True), retry=TWICE).run_dry()

    (letter,) = ask("GET", f"/streams/{STREAM}/groups/{GROUP}/dead-letters").json["dead_letters"]

    assert letter["trace_id"] == TRACE


def test_a_client_that_pulls_gets_the_context():
    fields = delivery_json(delivery({"event_type": "a", "traceparent": PARENT, "synapse_tracestate": "v=1"}))["fields"]

    assert (fields["traceparent"], fields["synapse_tracestate"]) == (PARENT, "v=1")


def record(**more):
    made = logging.LogRecord("synapse", logging.WARNING, "", 1, "it failed", (), None)
    made.__dict__.update(more)
    return made


def test_a_log_line_has_the_trace_that_it_belongs_to():
    token = TRACE_ID.set(TRACE)
    try:
        in_a_trace = JsonLines().format(record())
    finally:
        TRACE_ID.reset(token)

    assert json.loads(in_a_trace)["trace_id"] == TRACE
    assert TextLines().format(record(trace_id=TRACE)).endswith(f"it failed (trace {TRACE})")
    assert "trace" not in JsonLines().format(record()) + TextLines().format(record())


@pytest.fixture
def middleware(settings):
    """Make the middleware around a view: `middleware(view)`."""
    settings.TRACING = TraceSettings(exports_traces=True)
    return TracingMiddleware


def test_a_request_to_django_is_a_span_and_the_parent_of_what_it_does(middleware, rf, spans):
    def view(request):
        seen.append((request.META["HTTP_TRACEPARENT"], TRACE_ID.get()))
        return HttpResponse(status=503)

    seen = []
    request = rf.get("/admin/orders/?customer=anna", HTTP_TRACEPARENT=PARENT)

    middleware(view)(request)

    (span,) = spans
    assert seen == [(span.context.traceparent, TRACE)]
    assert (span.kind, span.name, span.parent.span_id, span.error) == ("SERVER", "GET", SPAN, "503")
    assert span.attributes == {
        attributes.HTTP_METHOD: "GET",
        attributes.HTTP_STATUS: 503,
        attributes.URL_SCHEME: "http",
    }
    assert TRACE_ID.get() == ""


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/streams/orders/messages/17-0", "/streams/{stream}/messages/{id}"),
        ("/health", "/health"),
        ("/admin/streams/stream/4/change/", "/admin/streams/stream/{object_id}/change/"),
    ],
)
def test_a_request_is_named_by_its_route_and_not_by_what_its_caller_looks_at(middleware, rf, spans, path, route):
    def view(request):
        request.resolver_match = resolve(request.path)
        return HttpResponse()

    middleware(view)(rf.get(path))

    (span,) = spans
    assert (span.name, span.attributes[attributes.HTTP_ROUTE]) == (f"GET {route}", route)


def test_a_method_that_is_none_names_no_span(middleware, rf, spans):
    middleware(lambda _: HttpResponse())(rf.generic("ANNA@EXAMPLE.ORG", "/"))

    assert [(span.name, span.attributes[attributes.HTTP_METHOD]) for span in spans] == [("_OTHER", "_OTHER")]


def test_a_view_that_raises_ends_its_span(middleware, rf, spans):
    def view(request):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        middleware(view)(rf.get("/"))

    assert [span.error for span in spans] == ["RuntimeError"]


def test_a_request_that_is_not_sampled_goes_on_as_it_came(middleware, rf, trace):
    ended = trace(0.0)
    request = rf.get("/", HTTP_TRACEPARENT=PARENT)

    middleware(lambda request: HttpResponse(request.META["HTTP_TRACEPARENT"]))(request)

    assert ended == []
    assert request.META["HTTP_TRACEPARENT"] == PARENT


def test_without_tracing_django_has_no_such_middleware(rf):
    with pytest.raises(MiddlewareNotUsed):
        TracingMiddleware(lambda _: HttpResponse())
