"""Requests that come again with another body: told by their bytes, without a parser.

A service publishes over one connection with the same head each time. Reading it again, header by header, took a sixth
of what a publish takes. What is equal byte for byte means the same, so it is enough to compare; all that may differ is
the body and the digits that say how long it is.
"""

import re
from typing import NamedTuple

# Header lines end with CRLF and names ignore case (RFC 9112, 5; RFC 9110, 5.1). No space may follow the digits here.
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"
# A body of a length that takes more digits does not arrive in one piece.
_MOST_DIGITS = 8


class Repeated(NamedTuple):
    """The head of a request that was read, as it stood before and behind the digits of its body's length. Without a
    body all of it stands `before`, and `behind` is empty."""

    before: bytes
    behind: bytes

    def again(self, piece: bytes) -> tuple[bytes, bytes] | None:
        """Return the digits and the body of what arrived in one piece, when it is this head with its whole body and no
        more; None for everything else."""
        before, behind = self
        if not piece.startswith(before):
            return None
        if not behind:
            return (b"", b"") if len(piece) == len(before) else None
        begin = len(before)
        end = piece.find(b"\r", begin, begin + _MOST_DIGITS + 1)
        digits = piece[begin:end]
        if end < 0 or not digits.isdigit() or not piece.startswith(behind, end):
            return None
        body = piece[end + len(behind) :]
        return (digits, body) if len(body) == int(digits) else None


def repeated(piece: bytes, length: bytes, *, most: int) -> Repeated | None:
    """Return what to compare with, from a piece that a parser read to the end of a request in it.

    `length` is the value of its Content-Length, empty when it has none. None when the piece is not exactly one request,
    or its head has more than `most` bytes.
    """
    end = piece.find(_END, 0, most) + len(_END)
    if end < len(_END) or len(piece) != end + int(length or b"0"):
        return None
    if not length:
        return Repeated(piece, b"")
    found = _LENGTH.search(piece, 0, end)
    if found is None or found[1] != length:
        return None
    return Repeated(piece[: found.start(1)], piece[found.end(1) : end])
