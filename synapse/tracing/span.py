"""A span as a value, independent of OpenTelemetry."""

from collections.abc import Callable
from typing import Any, Literal

from synapse.tracing import attributes as names
from synapse.tracing.context import TraceContext

Kind = Literal["PRODUCER", "CONSUMER", "SERVER"]
# The relation between the span of a delivery and that of the publish.
Relation = Literal["link", "parent"]
# The greatest number of links of a span, as in the SDK (OTEL_SPAN_LINK_COUNT_LIMIT).
MOST_LINKS = 128


class Span:
    """A sampled piece of work.

    Attributes:
        context: the context of the span, which is passed on.
        parent: the context of its parent.
        links: the related contexts that are not its parent, at most `MOST_LINKS`, in order.
        begun_ns, ended_ns: nanoseconds since 1970; `ended_ns` is 0 until the span has ended.
        error: the class of the failure, "" without one.
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
        """The stream of the work, "" for none."""
        return str(self.attributes.get(names.DESTINATION, ""))

    def link_to(self, context: TraceContext | None) -> None:
        """Link the span to a context once, unless it has the greatest number of links."""
        if context is not None and len(self.links) < MOST_LINKS:
            self.links[context] = None

    def keep_first_link(self) -> None:
        """Drop all links but the first."""
        if len(self.links) > 1:
            self.links = {next(iter(self.links)): None}

    def begin(self) -> None:
        """Record that the work begins now, for a span that was created earlier."""
        self.begun_ns = self._clock()

    def end(self) -> None:
        """Record that the work has ended. Attributes may still be set afterwards; the duration does not change."""
        self.ended_ns = self.ended_ns or self._clock()
