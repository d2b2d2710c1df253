"""Tracing as configured in the settings, and the spans of Django's requests."""

import re
from collections.abc import Callable
from contextvars import Token

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from streams import connections
from streams.snapshot import holder
from synapse.metrics.export import MetricsExport
from synapse.runtime.log_format import TRACE_ID
from synapse.runtime.periodic import Periodic
from synapse.tracing import attributes, switch
from synapse.tracing import settings as trace_settings
from synapse.tracing.context import TRACEPARENT, TRACESTATE
from synapse.tracing.span import Span

# Match named parts of a Django URL pattern, and the remaining syntax of patterns.
_PART, _REST = re.compile(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>"), re.compile(r"\^|/\?\$|\$")
_stop: Callable[[], None] = switch.turn_off
_exports: list[Periodic] = []
_META = {TRACEPARENT: "HTTP_TRACEPARENT", TRACESTATE: "HTTP_TRACESTATE"}


def start() -> None:
    """Start tracing and the export of metrics in this process, as far as the settings enable them."""
    global _stop  # noqa: PLW0603 - tracing is switched for the whole process
    _stop = trace_settings.start(settings.TRACING, count_dropped)
    if settings.TRACING.exports_metrics:
        from synapse.tracing.otlp_metrics import open_exporter  # noqa: PLC0415 - loads the SDK

        send = open_exporter(settings.TRACING.url_of("metrics"))
        export = MetricsExport(
            connections.executor,
            holder.current,
            connections.all_shares,
            send,
            seconds=settings.TRACING.metrics_seconds,
        )
        _exports.append(Periodic("metrics", 1.0, export.step))
    for work in _exports:
        work.start()


def stop() -> None:
    """Stop tracing and exporting, after sending the waiting spans."""
    while _exports:
        _exports.pop().stop()
    _stop()


def count_dropped(stream: str, by: int) -> None:
    """Count spans about a stream that were dropped without being sent."""
    if stream:
        connections.counters.add(stream, "spans_dropped", by)


class TracingMiddleware:
    """Middleware that creates a span for each sampled request, and makes its context the parent of further spans."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.TRACING.exports_traces:
            raise MiddlewareNotUsed
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        tracer = switch.tracer
        headers = {name: request.META.get(meta, "") for name, meta in _META.items()}
        span = None if tracer is None else tracer.start_request(request.method or "", headers)
        if tracer is None or span is None:
            return self._get_response(request)
        request.META[_META[TRACEPARENT]] = span.context.traceparent
        token: Token[str] = TRACE_ID.set(span.context.trace_id)
        try:
            response = self._get_response(request)
            _describe_response(span, request, response)
            return response
        except Exception as error:
            span.error = type(error).__name__
            raise
        finally:
            TRACE_ID.reset(token)
            tracer.finish(span)


def _describe_response(span: Span, request: HttpRequest, response: HttpResponse) -> None:
    span.attributes[attributes.HTTP_STATUS] = response.status_code
    span.attributes[attributes.URL_SCHEME] = request.scheme or "http"
    if request.resolver_match is not None:
        # The pattern is used, not the path, which would contain names and ids.
        route = _REST.sub("", _PART.sub(_name_part, request.resolver_match.route))
        span.attributes[attributes.HTTP_ROUTE] = route = f"/{route}"
        span.name = f"{span.name} {route}"
    if response.status_code >= 500:
        span.error = str(response.status_code)


def _name_part(part: re.Match[str]) -> str:
    return f"{{{part[1] or part[2]}}}"
