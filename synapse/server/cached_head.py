"""Recognizing a request whose head was parsed before by its bytes.

A service publishes over one connection with the same head each time. Parsing it again, header by header, took a sixth
of the time of a publish. Heads with equal bytes have equal meaning, so a comparison is enough; only the values of
headers that differ in each request are parsed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_LENGTH = b"content-length"
# Headers that name one request, event or trace. Services send other values with each request, and no decision about a
# head depends on them.
VARYING = frozenset(
    (
        *(b"idempotency-key", b"x-request-id", b"x-correlation-id", b"ce-id", b"ce-time", b"ce-subject"),
        *(b"traceparent", b"tracestate", b"baggage", b"sentry-trace", b"elastic-apm-traceparent"),
        *(b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled"),
        *(b"x-datadog-trace-id", b"x-datadog-parent-id", b"x-amzn-trace-id", b"x-cloud-trace-context"),
    )
)
# Header lines end with CRLF, and case does not matter in names (RFC 9112, 5; RFC 9110, 5.1). No space may follow the
# value here.
_VARYING_LINE = re.compile(
    rb"(\r\n(%b):[ \t]*+)([^\r\n]*[^ \t\r\n])(?=\r\n)" % b"|".join(sorted({_LENGTH, *VARYING})), re.IGNORECASE
)
_END = b"\r\n\r\n"
# A body whose length has more digits does not arrive in one piece.
_MOST_DIGITS = 8
# The value of a varying header that is parsed here, up to the end of its line: at most 512 characters of ASCII.
_VALUE = re.compile(rb"[!-~](?:[ -~]{0,510}[!-~])?(?=\r)")


# A request with a known head: the digits of its length (empty without a body), its body, and its varying headers.
RepeatedRequest = tuple[bytes, bytes, Mapping[str, str]]


class CachedHead(NamedTuple):
    """The head of an earlier request without the values that differ in each request.

    The head is split at these values: the digits of its Content-Length, and the values of varying headers. `parts` has
    for each value, in order, the name of its header ("" for the length) and the bytes before it. `end` has the bytes
    behind the last one.
    """

    parts: tuple[tuple[str, bytes], ...]
    end: bytes

    def match(self, piece: bytes) -> RepeatedRequest | None:
        """Return the request in a piece that has exactly this head with other values, and its body; None for any other
        piece, and when the parser might read a value differently.
        """
        digits, at = b"", 0
        varying: dict[str, str] = {}
        for name, part in self.parts:
            if not piece.startswith(part, at):
                return None
            begin = at + len(part)
            if name:
                found = _VALUE.match(piece, begin)
                if found is None:
                    return None
                at = found.end()
                varying[name] = found[0].decode("ascii")
            else:
                at = piece.find(b"\r", begin, begin + _MOST_DIGITS + 1)
                digits = piece[begin:at]
                if at < 0 or not digits.isdigit():
                    return None
        if not piece.startswith(self.end, at):
            return None
        body = piece[at + len(self.end) :]
        return (digits, body, varying) if len(body) == int(digits or b"0") else None


def cacheable_head(
    piece: bytes, length: bytes, headers: Sequence[tuple[bytes, bytes]], *, most: int
) -> CachedHead | None:
    """Return the head of the request in a piece, for comparison with later requests.

    `length` is the value of its Content-Length, empty without one, and `headers` are the other headers as parsed.
    Return None when the piece is not exactly one request, or its head has more than `most` bytes.
    """
    end = piece.find(_END, 0, most) + len(_END)
    if end < len(_END) or len(piece) != end + int(length or b"0"):
        return None
    parsed = sorted([(name, value) for name, value in headers if name in VARYING] + [(_LENGTH, length)] * bool(length))
    found = [(line[2].lower(), line) for line in _VARYING_LINE.finditer(piece, 0, end)]
    # Not when the parser found another value, such as that of a header on two lines.
    if len(dict(found)) < len(found) or sorted((name, line[3]) for name, line in found) != parsed:
        return None
    parts, at = [], 0
    for name, line in found:
        parts.append(("" if name == _LENGTH else name.decode("ascii"), piece[at : line.start(3)]))
        at = line.end(3)
    return CachedHead(tuple(parts), piece[at:end])
