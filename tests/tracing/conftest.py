"""Tracing that is on for a test: into a list, or into a collector."""

from collections.abc import Callable, Iterator

import pytest

from synapse.tracing import switch
from synapse.tracing.sampler import Sampler
from synapse.tracing.span import Span
from synapse.tracing.tracer import Tracer
from tests.bridges.conftest import bridge, handlers, webhooks  # noqa: F401 - fixtures of workers
from tests.tracing.collector import Collector


@pytest.fixture
def trace() -> Iterator[Callable[..., list[Span]]]:
    """Turn tracing on with a sampler, and return the list of the spans that end."""

    def start(ratio: float = 1.0, *, heeds_callers: bool = True) -> list[Span]:
        ended: list[Span] = []
        switch.turn_on(Tracer(Sampler(ratio, heeds_callers=heeds_callers), ended.append))
        return ended

    yield start
    switch.turn_off()


@pytest.fixture
def spans(trace: Callable[..., list[Span]]) -> list[Span]:
    """All is traced: the spans that ended."""
    return trace()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running
