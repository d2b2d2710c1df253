"""Run a handler in the context of the delivery, where the handler uses OpenTelemetry."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from synapse.tracing.context import TraceContext


@contextmanager
def attached(context: TraceContext | None) -> Iterator[None]:
    """Run a block in a trace context, so that the spans that it makes are children of that span.

    A program that has not loaded OpenTelemetry makes no spans: then nothing is loaded for it.
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
