"""Running a handler in the trace context of its delivery, if the handler uses OpenTelemetry."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from synapse.tracing.context import TraceContext


@contextmanager
def attach_context(context: TraceContext | None) -> Iterator[None]:
    """Run the block in a trace context, so that the spans that it creates are children of that span.

    A program that has not loaded OpenTelemetry creates no spans, so OpenTelemetry is not loaded for it.
    """
    if context is None or "opentelemetry.trace" not in sys.modules:
        yield
        return
    from opentelemetry import context as contexts  # noqa: PLC0415 - loaded by the program already
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - as above
        TraceContextTextMapPropagator,
    )

    token = contexts.attach(TraceContextTextMapPropagator().extract(context.headers))
    try:
        yield
    finally:
        contexts.detach(token)
