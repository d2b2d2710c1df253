"""The segments of a stream's index, as bytes that `index_find.lua` reads.

A segment covers entries that follow each other, in blocks of sixteen: the number of its digests and of its blocks (four
bytes each), the digests in order (four bytes), the block of each (two bytes), and the id of each block's first entry
(sixteen bytes). That is six bytes for each value that an event is known by, and one for each event.
"""

import struct
import sys
from array import array
from collections.abc import Collection, Iterable, Sequence

BLOCK = 16

_HEAD = struct.Struct(">II")
_ID = struct.Struct(">QQ")


def build(entries: Iterable[tuple[str, Collection[int]]]) -> bytes:
    """Return the segment of entries: of each its id and its digests."""
    pairs: set[int] = set()
    ids: list[bytes] = []
    for number, (id_, digests) in enumerate(entries):
        block, within = divmod(number, BLOCK)
        if within == 0:
            ms, _, sequence = id_.partition("-")
            ids.append(_ID.pack(int(ms), int(sequence)))
        pairs.update([digest << 16 | block for digest in digests])
    return _written(sorted(pairs), ids)


def merge(segments: Sequence[bytes]) -> bytes:
    """Return one segment in place of several that follow each other."""
    pairs: list[int] = []
    ids: list[bytes] = []
    for segment in segments:
        digests, blocks = _HEAD.unpack_from(segment)
        at, after = 8 + 4 * digests, 8 + 6 * digests
        first = len(ids)
        pairs += [
            digest << 16 | block + first
            for digest, block in zip(_read("I", segment[8:at]), _read("H", segment[at:after]), strict=True)
        ]
        ids += [segment[start : start + 16] for start in range(after, after + 16 * blocks, 16)]
    # Runs that are sorted already: little is left to do.
    pairs.sort()
    return _written(pairs, ids)


def _written(pairs: Sequence[int], ids: Sequence[bytes]) -> bytes:
    digests = array("I", [pair >> 16 for pair in pairs])
    blocks = array("H", [pair & 0xFFFF for pair in pairs])
    return b"".join((_HEAD.pack(len(pairs), len(ids)), _big_endian(digests), _big_endian(blocks), *ids))


def _read(kind: str, data: bytes) -> "array[int]":
    found = array(kind, data)
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _big_endian(numbers: "array[int]") -> bytes:
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()
