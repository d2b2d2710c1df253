"""Contexts of traces are read as W3C Trace Context says, or not at all."""

import pytest

from synapse.tracing.context import TraceContext, read_context, trace_id_of
from synapse.wire.encoding import TRACESTATE
from synapse.wire.trace_context import context_of_entry

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_context_is_read_and_written_unchanged():
    context = read_context(PARENT, "vendor=1,other=2")

    assert context == TraceContext(TRACE, SPAN, 1, "vendor=1,other=2")
    assert context.headers == {"traceparent": PARENT, "tracestate": "vendor=1,other=2"}
    assert trace_id_of({"traceparent": PARENT}) == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        f"01-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\r\nX: y",
        f" {PARENT}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_an_invalid_traceparent_is_no_context(parent):
    assert read_context(parent) is None
    assert trace_id_of({"traceparent": parent}) == ""


@pytest.mark.parametrize("state", ["v=" + "x" * 511, "a=1\nb=2", "ä=1", " a=1"])
def test_an_invalid_tracestate_is_dropped_and_the_trace_stays(state):
    assert read_context(PARENT, state) == TraceContext(TRACE, SPAN, 1, "")


def test_the_longest_tracestate_stays():
    assert read_context(PARENT, "v=" + "x" * 510).state == "v=" + "x" * 510


def test_the_context_of_an_entry_is_that_of_its_fields_and_not_of_a_value_with_their_name():
    state = TRACESTATE.encode()
    assert context_of_entry([b"a", b"traceparent", b"traceparent", PARENT.encode(), state, b"v=1"]) == TraceContext(
        TRACE, SPAN, 1, "v=1"
    )
    assert context_of_entry([b"a", b"traceparent", b"b", PARENT.encode()]) is None
    assert context_of_entry([b"a", b"1"]) is None
    assert context_of_entry([b"traceparent", b"\xff"]) is None
