"""A span as a value. Nothing here knows OpenTelemetry."""

from collections.abc import Callable
from typing import Any, Literal

from synapse.tracing import attributes as names
from synapse.tracing.context import TraceContext

Kind = Literal["PRODUCER", "CONSUMER", "SERVER"]
# How the span of a delivery belongs to that of the publish.
Relation = Literal["link", "parent"]
# A span has this many links at most, as the SDK limits those of its own spans (OTEL_SPAN_LINK_COUNT_LIMIT).
MOST_LINKS = 128


class Span:
    """A sampled piece of work.

    Attributes:
        context: its own context, which is passed on.
        parent: the context that it is a child of.
        links: the contexts that it belongs to without being their child, the first `MOST_LINKS`, in their order.
        begun_ns, ended_ns: nanoseconds since 1970; `ended_ns` is 0 until it has ended.
        error: the class of its failure, "" without one.
    """

    __slots__ = ("_clock", "attributes", "begun_ns", "context", "ended_ns", "error", "kind", "links", "name", "parent")

    def __init__(
        self,
        name: str,
        kind: Kind,
        *,
        context: TraceContext,
        parent: TraceContext | None,
        attributes: dict[str, Any],
        clock: Callable[[], int],
    ) -> None:
        self.name = name
        self.kind = kind
        self.context = context
        self.parent = parent
        self.links: dict[TraceContext, None] = {}
        self.attributes = attributes
        self._clock = clock
        self.begun_ns = clock()
        self.ended_ns = 0
        self.error = ""

    @property
    def stream(self) -> str:
        """The stream that the work is about, "" for none."""
        return str(self.attributes.get(names.DESTINATION, ""))

    def link_to(self, context: TraceContext | None) -> None:
        """Link the span to a context, once, unless it has all of its links."""
        if context is not None and len(self.links) < MOST_LINKS:
            self.links[context] = None

    def keep_first_link(self) -> None:
        """Drop all links but the first."""
        if len(self.links) > 1:
            self.links = {next(iter(self.links)): None}

    def begin(self) -> None:
        """Record that the work begins now: the span was made before."""
        self.begun_ns = self._clock()

    def end(self) -> None:
        """Record that the work has ended. Attributes may still be set after that; the duration does not change."""
        self.ended_ns = self.ended_ns or self._clock()
