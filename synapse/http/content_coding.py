"""Decode bodies of requests that are sent with the content coding gzip (RFC 9110, 8.4.1.3; RFC 1952).

A small body can decode to a thousand times its size. So it is decoded in slices, and the reader stops at the first
slice that exceeds a limit.
"""

import zlib
from collections.abc import Iterator, Mapping

from synapse.problems import BadRequest, UnsupportedMediaType, too_large

# RFC 9110, 8.4.1.3: the second is another name of the first.
_GZIP = ("gzip", "x-gzip")
_NONE = ("", "identity")
# Makes zlib accept a member of RFC 1952 with any window size, and no other format.
_WINDOW_BITS = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"
# The limits on the output and the input of one step, so that it takes a fraction of a millisecond.
MAX_SLICE = 64 * 1024
_MAX_INPUT = 16 * 1024
# Explanations of zlib's errors for a damaged body.
_REASONS = {
    "incorrect header check": "it does not begin as gzip does",
    "incorrect data check": "its checksum (CRC-32) is not that of its contents",
    "incorrect length check": "its length is not that of its contents",
}


class UnsupportedCoding(UnsupportedMediaType):
    """The content coding of the body is not supported. The header Accept-Encoding names the supported one (RFC 7694,
    3).
    """

    def __init__(self, header: str) -> None:
        super().__init__(
            f"The content coding “{header[:100]}” is not decoded here. Send the body as it is, or with "
            "“Content-Encoding: gzip”.",
            headers={"Accept-Encoding": "gzip"},
        )


class BadCoding(BadRequest):
    """The body does not have the coding that its header Content-Encoding names."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The body cannot be decoded as gzip (RFC 1952): {reason}.")


class GzipDecoder:
    """Decodes the body of one request, which is one member of the format (RFC 1952, 2.2).

    Several members in a row are refused, because proxies may read only the first one.
    """

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_WINDOW_BITS)
        self._is_begun = False

    def slices(self, part: bytes) -> Iterator[bytes]:
        """Decode the next part of a body, and yield slices of at most `MAX_SLICE` bytes; some may be empty.

        Raises:
            BadCoding: when the body is damaged, or data follow its end.
        """
        self._is_begun = self._is_begun or bool(part)
        for begin in range(0, len(part), _MAX_INPUT):
            piece = part[begin : begin + _MAX_INPUT]
            if self._decoder.eof:
                raise _trailing_data_error(piece)
            while piece:
                yield self._decode(piece)
                piece = self._decoder.unconsumed_tail

    def finish(self) -> None:
        """Check that the body is complete. An empty body is.

        Raises:
            BadCoding: when its end is missing.
        """
        if self._is_begun and not self._decoder.eof:
            raise BadCoding("its end is missing")

    def _decode(self, piece: bytes) -> bytes:
        try:
            found = self._decoder.decompress(piece, MAX_SLICE)
        except zlib.error as error:
            reason = str(error).rpartition(": ")[2]
            raise BadCoding(_REASONS.get(reason, reason)) from None
        if self._decoder.unused_data:
            raise _trailing_data_error(self._decoder.unused_data)
        return found


def _trailing_data_error(rest: bytes) -> BadCoding:
    if _MAGIC.startswith(rest[:2]):
        return BadCoding("it has several members. Compress all of it at once")
    return BadCoding("other bytes follow its end")


def decoder_of(headers: Mapping[str, str]) -> GzipDecoder | None:
    """Return the decoder for a request's body; None for a body without a coding.

    Args:
        headers: the headers of the request, by lower-case names.

    Raises:
        UnsupportedCoding: when it has another coding than gzip, or several.
    """
    header = headers.get("content-encoding", "")
    codings = [coding for each in header.split(",") if (coding := each.strip().lower()) not in _NONE]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _GZIP:
        raise UnsupportedCoding(header)
    return GzipDecoder()


def decode_body(decoder: GzipDecoder, body: bytes, *, most: int) -> bytes:
    """Decode a complete body: for threads, where it may take long.

    Raises:
        BadCoding: when it is damaged.
        PayloadTooLarge: when it decodes to more than `most` bytes.
    """
    found = bytearray()
    for part in decoder.slices(body):
        found += part
        if len(found) > most:
            raise too_large(most)
    decoder.finish()
    return bytes(found)
