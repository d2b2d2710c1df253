"""The context of a trace that a request or an entry carries (W3C Trace Context)."""

import re
from collections.abc import Mapping

from synapse.formats.text import NO_TEXTS
from synapse.wire.encoding import TRACESTATE

# W3C Trace Context, 3.2.2: version 00, ids that are not all zero.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# 3.3.1.5: this many characters should be passed on at least. Visible ASCII and spaces between.
_TRACESTATE = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")


def trace_fields(traceparent: str, tracestate: str = "") -> Mapping[str, str]:
    """Return the fields that keep a trace's context beside an event, from the values of its two headers.

    They are empty when `traceparent` cannot be used. A `tracestate` that is longer than 512 characters, or not visible
    ASCII, is left out (3.3.1.1).
    """
    if not traceparent or not _TRACEPARENT.fullmatch(traceparent):
        return NO_TEXTS
    if not tracestate or not _TRACESTATE.fullmatch(tracestate):
        return {"traceparent": traceparent}
    return {"traceparent": traceparent, TRACESTATE: tracestate}
