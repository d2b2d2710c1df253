"""Copies of events in other streams. Each copy is stored once, and names the streams that it came through."""

from collections.abc import Sequence
from dataclasses import dataclass

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.delivery.sink import Delivery
from synapse.errors.delivery import SinkError
from synapse.formats import exact_json
from synapse.formats.text import NO_TEXTS, is_name
from synapse.publishing import validation
from synapse.publishing.validation import Accepted
from synapse.redis import Command
from synapse.redis.commands.publishing import publish_once, stored_under
from synapse.tracing.context import TraceContext
from synapse.wire import encoding
from synapse.wire.encoding import CLOUDEVENT
from synapse.wire.ids import iso_now, iso_of, moment_of
from synapse.wire.trace_context import trace_fields

# The number of streams that an event may come through; then it is not copied further.
MOST_HOPS = 8
# Milliseconds during which an event that is delivered again is recognised.
WINDOW_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of an event in another stream.

    Attributes:
        target: the other stream.
        original: the event that is copied.
        accepted: the event as the other stream accepts it.
        trail: the streams that it came through; the last one is its own.
        trace: the trace context to store with it.
        is_changed: whether its content may differ from the original.
    """

    target: StreamDefinition
    original: Delivery
    accepted: Accepted
    trail: Sequence[str]
    trace: TraceContext | None
    is_changed: bool

    def store_command(self, bridge: BridgeDefinition) -> Command:
        """Return the command that stores the copy for a bridge; sent repeatedly, it stores it once.

        Raises:
            SinkError: when the event came through too many streams.
        """
        if len(self.trail) > MOST_HOPS:
            raise SinkError(f"It came through {len(self.trail)} streams: {', '.join(self.trail)}", permanent=True)
        original, target, trace = self.original, self.target, self.trace
        attributes, source, timestamp = original.entry.cloudevent, original.source, original.timestamp
        state = "" if trace is None or self.is_changed else trace.state
        beside = dict(NO_TEXTS if trace is None else trace_fields(trace.traceparent, state))
        if attributes is not None and self.is_changed:
            # A changed event must not keep the attributes, which may contain values of dropped properties.
            source, timestamp = "", iso_of(moment_of(original.id))
        elif attributes is not None:
            # Encoded again from the decoded values, because another program may have written bytes that are not UTF-8.
            beside[CLOUDEVENT] = exact_json.dumps(attributes).decode()
        fields = validation.encode(
            target, self.accepted, now=lambda: timestamp or iso_now(), source=source or bridge.name, beside=beside
        )
        return publish_once(
            target.name,
            [*fields, encoding.HOPS, ",".join(self.trail)],
            who=_publisher_of(bridge),
            key=original.id,
            # The key identifies the event: attempts with another mapping count as the same event.
            fingerprint=original.id,
            window_ms=WINDOW_MS,
            hard_length=target.refused_length,
        )


def find_copies(target: str, bridge: BridgeDefinition, id_: str) -> Command:
    """Return the command that reads the id of the copy that a bridge stored in a stream: a list of one id, empty when
    none was stored within the window.
    """
    return stored_under(target, who=_publisher_of(bridge), key=id_)


def trail_of(delivery: Delivery) -> list[str]:
    """Return the streams that an event passed through before its current one."""
    fields = delivery.fields
    if encoding.VERSION.encode() not in fields:  # without our version field, other programs may have set the field
        return []
    text = fields.get(encoding.HOPS.encode(), b"").decode("utf-8", "replace")
    return [name for name in text.split(",") if is_name(name)]


def _publisher_of(bridge: BridgeDefinition) -> str:
    """Return the publisher under which a bridge stores copies: the group whose events it copies."""
    return f"{bridge.stream}\n{bridge.group}"
