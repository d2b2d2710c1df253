"""Recognizing a request whose head was parsed before by its bytes.

A service publishes over one connection with the same head each time. Parsing it again, header by header, took a sixth
of the time of a publish. Heads with equal bytes have equal meaning, so a comparison is enough; only the values of
headers that differ in each request are parsed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from synapse.formats.text import NO_TEXTS

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
# The longest value of a varying header that is parsed here.
_LONGEST_VALUE = 512


# A request with a known head: the digits of its length (empty without a body), its body, and its varying headers.
RepeatedRequest = tuple[bytes, bytes, Mapping[str, str]]


class CachedHead(NamedTuple):
    """The head of an earlier request without the values that differ in each request.

    The head is split at the digits of its Content-Length into `before` and `behind`. Without a body, `before` is the
    whole head, and `behind` is empty. `lines` has the names of the other headers whose values are cut out, and for each
    the start of its line up to the value.
    """

    before: bytes
    behind: bytes
    lines: tuple[tuple[str, bytes], ...]

    def match(self, piece: bytes) -> RepeatedRequest | None:
        """Return the request in a piece that has exactly this head with other values, and its body; None for any other
        piece.
        """
        before, behind, lines = self
        varying = NO_TEXTS
        if lines:
            cut = _cut_values(piece, lines)
            if cut is None:
                return None
            piece, varying = cut
        if not piece.startswith(before):
            return None
        if not behind:
            return (b"", b"", varying) if len(piece) == len(before) else None
        begin = len(before)
        end = piece.find(b"\r", begin, begin + _MOST_DIGITS + 1)
        digits = piece[begin:end]
        if end < 0 or not digits.isdigit() or not piece.startswith(behind, end):
            return None
        body = piece[end + len(behind) :]
        return (digits, body, varying) if len(body) == int(digits) else None


def _cut_values(piece: bytes, lines: Sequence[tuple[str, bytes]]) -> tuple[bytes, Mapping[str, str]] | None:
    """Cut the first value after each of `lines` out of a piece. Return the rest and these values.

    Return None when a value is missing, or when the parser might read it differently. If a value was cut out of a body,
    the rest does not match the known head.
    """
    varying = {}
    for name, line in lines:
        begin = piece.find(line) + len(line)
        end = piece.find(b"\r", begin, begin + _LONGEST_VALUE + 1)
        value = piece[begin:end].decode("latin-1")
        if begin < len(line) or end < 0 or not value or value.strip(" ") != value:
            return None
        if not (value.isascii() and value.isprintable()):
            return None
        varying[name] = value
        piece = piece[:begin] + piece[end:]
    return piece, varying


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
    before, behind, at = b"", b"", 0
    for name, line in found:
        behind += piece[at : line.start(3)]
        at = line.end(3)
        if name == _LENGTH:
            before, behind = behind, b""
    behind += piece[at:end]
    lines = tuple((name.decode("ascii"), line[1]) for name, line in found if name != _LENGTH)
    return CachedHead(before, behind, lines) if length else CachedHead(behind, b"", lines)
