"""The segments of a stream's index, as bytes that `index_find.lua` reads.

A segment covers consecutive entries, in blocks of sixteen. It consists of the number of digests and of blocks (four
bytes each), the sorted digests (four bytes each), the block of each digest (two bytes each), and the id of each block's
first entry (sixteen bytes). That is six bytes for each id of an event, and one byte for each event.
"""

import struct
import sys
from array import array
from collections.abc import Collection, Iterable, Sequence

BLOCK = 16

_HEAD = struct.Struct(">II")
_ID = struct.Struct(">QQ")


def build_segment(entries: Iterable[tuple[str, Collection[int]]]) -> bytes:
    """Return the segment of entries, given as ids with digests."""
    pairs: set[int] = set()
    ids: list[bytes] = []
    for number, (id_, digests) in enumerate(entries):
        block, within = divmod(number, BLOCK)
        if within == 0:
            ms, _, sequence = id_.partition("-")
            ids.append(_ID.pack(int(ms), int(sequence)))
        pairs.update([digest << 16 | block for digest in digests])
    return _pack(sorted(pairs), ids)


def merge_segments(segments: Sequence[bytes]) -> bytes:
    """Return one segment that replaces several consecutive ones."""
    pairs: list[int] = []
    ids: list[bytes] = []
    for segment in segments:
        digests, blocks = _HEAD.unpack_from(segment)
        at, after = 8 + 4 * digests, 8 + 6 * digests
        first = len(ids)
        pairs += [
            digest << 16 | block + first
            for digest, block in zip(
                _unpack_numbers("I", segment[8:at]), _unpack_numbers("H", segment[at:after]), strict=True
            )
        ]
        ids += [segment[start : start + 16] for start in range(after, after + 16 * blocks, 16)]
    # Fast, since the list consists of sorted runs.
    pairs.sort()
    return _pack(pairs, ids)


def _pack(pairs: Sequence[int], ids: Sequence[bytes]) -> bytes:
    digests = array("I", [pair >> 16 for pair in pairs])
    blocks = array("H", [pair & 0xFFFF for pair in pairs])
    return b"".join((_HEAD.pack(len(pairs), len(ids)), _big_endian(digests), _big_endian(blocks), *ids))


def _unpack_numbers(kind: str, data: bytes) -> "array[int]":
    found = array(kind, data)
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _big_endian(numbers: "array[int]") -> bytes:
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()
