"""The context of a trace that a request or an entry carries (W3C Trace Context)."""

from collections.abc import Mapping, Sequence

from synapse.formats.text import NO_TEXTS
from synapse.tracing.context import PARENT, STATE, TraceContext, read_context
from synapse.wire.encoding import TRACESTATE

_PARENT_FIELD, _STATE_FIELD = b"traceparent", TRACESTATE.encode()


def trace_fields(traceparent: str, tracestate: str = "") -> Mapping[str, str]:
    """Return the fields that keep a trace's context beside an event, from the values of its two headers.

    They are empty when `traceparent` cannot be used. A `tracestate` that is longer than 512 characters, or not visible
    ASCII, is left out (3.3.1.1).
    """
    if not traceparent or not PARENT.fullmatch(traceparent):
        return NO_TEXTS
    if not tracestate or not STATE.fullmatch(tracestate):
        return {"traceparent": traceparent}
    return {"traceparent": traceparent, TRACESTATE: tracestate}


def context_of_entry(parts: Sequence[bytes]) -> TraceContext | None:
    """Return the context that is stored with an event, from the names and values of its entry in turn."""
    if _PARENT_FIELD not in parts:  # most often none is there
        return None
    names = parts[::2]
    parent, state = (
        parts[2 * names.index(name) + 1].decode("latin-1") if name in names else ""
        for name in (_PARENT_FIELD, _STATE_FIELD)
    )
    return read_context(parent, state)
