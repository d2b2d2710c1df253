"""Sending spans to a collector with OTLP over HTTP, in a separate thread.

The SDK's queue is not used, because its processor would log in the thread of a publisher: this queue drops a span at
once when it is full, counts it, and logs nothing. The SDK's tracer is not used either, and `ReadableSpan` is created
directly: the sampling decision is made before a span exists, and the tracer would decide, look for a context and take a
lock once more.
"""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from synapse.tracing import attributes as names
from synapse.tracing.context import TraceContext
from synapse.tracing.span import Span

# Called with a stream ("" for none) and the number of its spans that were dropped.
Dropped = Callable[[str, int], None]

logger = logging.getLogger(__name__)
_SCOPE = InstrumentationScope(names.SYNAPSE)
_KINDS = {"PRODUCER": SpanKind.PRODUCER, "CONSUMER": SpanKind.CONSUMER, "SERVER": SpanKind.SERVER}
_UNSET = Status(StatusCode.UNSET)
_FAILED = Status(StatusCode.ERROR)
# Seconds between two log lines about spans that were not sent.
_SILENCE = 60.0
# The seconds for which the end of a process waits for the collector.
_LAST_SECONDS = 2.0


class SpanQueue:
    """Keeps ended spans until a thread has sent them. Each process, and each fork, has its own queue.

    Args:
        open_exporter: returns an exporter, which sends spans and may block. It is called once in each process,
            because a fork must not share its parent's connection to the collector.
        resource: the description of this process.
        dropped: the callback for spans that were not sent.
        most: the greatest number of waiting spans.
        batch: the number of spans that are sent at once.
        seconds: the time for which a span waits for others.
    """

    def __init__(
        self,
        open_exporter: Callable[[], SpanExporter],
        resource: Resource,
        *,
        dropped: Dropped,
        most: int,
        batch: int,
        seconds: float,
    ) -> None:
        self._open_exporter = open_exporter
        self._resource = resource
        self._dropped = dropped
        self._most, self._batch, self._seconds = most, batch, seconds
        self._is_closed = False
        self._untold, self._tells_at = 0, float("-inf")
        self._begin()
        # Opened at once, so that invalid settings are reported; in a fork only before its first span.
        self._exporter: SpanExporter | None = open_exporter()
        if hasattr(os, "register_at_fork"):
            # The parent sends the waiting spans; its threads do not exist in a forked child.
            os.register_at_fork(after_in_child=self._begin)

    def put(self, span: Span) -> None:
        """Add an ended span, or drop it when too many are waiting."""
        waiting = len(self._spans)
        if waiting >= self._most:
            self._dropped(span.stream, 1)
            return
        if waiting >= self._batch:
            # The collector is slow or unavailable: 128 links take forty times the memory of a span.
            span.keep_first_link()
        self._spans.append(span)
        if waiting + 1 == self._batch:
            self._bell.set()
        if self._thread is None:
            self._start()

    def close(self, seconds: float = _LAST_SECONDS) -> None:
        """Send the waiting spans, and end the thread. Waits at most `seconds` for a collector that does not answer."""
        if self._is_closed:
            return
        self._is_closed = True
        self._bell.set()
        if self._thread is not None:
            self._thread.join(seconds)
        # This ends a request that still waits for the collector.
        if self._exporter is not None:
            with contextlib.suppress(Exception):
                self._exporter.shutdown()

    def _begin(self) -> None:
        self._exporter = None
        self._spans: deque[Span] = deque()
        self._bell = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._send_loop, name="spans", daemon=True)
                self._thread.start()

    def _send_loop(self) -> None:
        while not self._is_closed:
            self._bell.wait(self._seconds)
            self._bell.clear()
            self.send()

    def send(self) -> None:
        """Send all waiting spans."""
        while self._spans:
            spans = [self._spans.popleft() for _ in range(min(self._batch, len(self._spans)))]
            if not self._is_sent(spans):
                for span in spans:
                    self._dropped(span.stream, 1)
                self._log_dropped(len(spans))

    def _log_dropped(self, unsent: int) -> None:
        """Log that spans were not sent, at most once a minute. The SDK would log each of its tries."""
        self._untold += unsent
        if time.monotonic() >= self._tells_at:
            logger.warning("%d spans were not sent: the collector was not reached, or did not take them.", self._untold)
            self._untold, self._tells_at = 0, time.monotonic() + _SILENCE

    def _is_sent(self, spans: Sequence[Span]) -> bool:
        try:
            if self._exporter is None:
                self._exporter = self._open_exporter()
            result = self._exporter.export([_readable(span, self._resource) for span in spans])
        except Exception:
            logger.exception("A batch of spans cannot be written")
            return False
        return result is SpanExportResult.SUCCESS


def open_queue(endpoint: str, dropped: Dropped) -> SpanQueue:
    """Return a queue to a collector. Its sizes and the details of the connection come from `OTEL_*` variables.

    Args:
        endpoint: the URL for traces, "" for the one that the SDK reads from the environment.
        dropped: the callback for spans that were not sent.
    """
    return SpanQueue(
        lambda: OTLPSpanExporter(endpoint=endpoint or None),
        describe_process(),
        dropped=dropped,
        most=_number_from("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
        batch=_number_from("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        seconds=_number_from("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
    )


class ProcessResource(Resource):
    """The description of this process, hashed once: the encoder needs the hash for each span, and the SDK would write
    all attributes as JSON for it.
    """

    def __init__(self, found: Resource) -> None:
        super().__init__(found.attributes, found.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def describe_process() -> Resource:
    """Return the description of this process: OTEL_SERVICE_NAME or “synapse”, and OTEL_RESOURCE_ATTRIBUTES."""
    found = Resource.create()
    is_named = not str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    return ProcessResource(found if is_named else found.merge(Resource({SERVICE_NAME: names.SYNAPSE})))


def _number_from(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    attributes = span.attributes
    if span.error:
        attributes = {**attributes, names.ERROR_TYPE: span.error}
    return ReadableSpan(
        span.name,
        context=_context(span.context, is_remote=False),
        parent=None if span.parent is None else _context(span.parent),
        resource=resource,
        attributes=attributes,
        links=[Link(_context(each)) for each in span.links],
        kind=_KINDS[span.kind],
        status=_FAILED if span.error else _UNSET,
        start_time=span.begun_ns,
        end_time=span.ended_ns,
        instrumentation_scope=_SCOPE,
    )


def _context(context: TraceContext, *, is_remote: bool = True) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote,
        TraceFlags(context.flags),
        TraceState.from_header([context.state]) if context.state else None,
    )
