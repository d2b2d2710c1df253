"""Trace contexts as texts and values (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
# Section 3.2.2: version 00, and ids that are not all zero.
PARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
# Section 3.3.1.5: at least this many characters should be passed on; a longer `tracestate` is dropped. Visible ASCII
# with spaces in between.
STATE = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")


class TraceContext(NamedTuple):
    """The context of a span: its ids in hexadecimal, its flags, and the `tracestate` ("" without one)."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that pass the context on."""
        parent = {TRACEPARENT: self.traceparent}
        return {**parent, TRACESTATE: self.state} if self.state else parent


def read_context(parent: str, state: str = "") -> TraceContext | None:
    """Parse the context in two headers. Return None when `traceparent` is missing or invalid. A `tracestate` that is
    invalid or too long is dropped.
    """
    found = PARENT.fullmatch(parent)
    if found is None:
        return None
    return TraceContext(found[1], found[2], int(found[3], 16), state if STATE.fullmatch(state) else "")


def trace_id_of(headers: Mapping[str, str]) -> str:
    """Return the trace id of a request's headers (lower-case names), "" without a valid one."""
    return trace_id_in(headers.get(TRACEPARENT, ""))


def trace_id_in(parent: str) -> str:
    """Return the trace id in a `traceparent`, "" when it is invalid."""
    found = PARENT.fullmatch(parent) if parent else None
    return found[1] if found else ""
