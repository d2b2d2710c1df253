"""The bytes of an index's segments, and what is merged of them."""

import struct

from synapse.correlation import segments


def read(segment: bytes) -> dict[int, set[tuple[int, int]]]:
    """Return by digest the first ids of the blocks that a segment names for it."""
    digests, blocks = struct.unpack_from(">II", segment)
    names = struct.unpack_from(f">{digests}I", segment, 8)
    places = struct.unpack_from(f">{digests}H", segment, 8 + 4 * digests)
    ids = [struct.unpack_from(">QQ", segment, 8 + 6 * digests + 16 * block) for block in range(blocks)]
    assert list(names) == sorted(names)
    assert len(segment) == 8 + 6 * digests + 16 * blocks
    found: dict[int, set[tuple[int, int]]] = {}
    for name, place in zip(names, places, strict=True):
        found.setdefault(name, set()).add(ids[place])
    return found


def entries(first: int, count: int) -> list[tuple[str, set[int]]]:
    return [(f"{number}-{2**64 - 1}", {number * 7919 % 2**32, 5}) for number in range(first, first + count)]


def test_a_segment_names_the_block_of_each_digest():
    found = read(segments.build_segment(entries(100, 40)))

    last = 2**64 - 1
    assert found[5] == {(100, last), (116, last), (132, last)}
    assert found[115 * 7919] == {(100, last)}
    assert found[116 * 7919] == {(116, last)}


def test_merged_segments_name_the_blocks_that_each_of_them_named():
    parts = [segments.build_segment(entries(first, count)) for first, count in ((1, 20), (21, 16), (37, 300))]

    merged = read(segments.merge_segments(parts))

    together: dict[int, set[tuple[int, int]]] = {}
    for part in parts:
        for digest, blocks in read(part).items():
            together.setdefault(digest, set()).update(blocks)
    assert merged == together


def test_a_segment_of_entries_that_carry_nothing_has_blocks_alone():
    assert read(segments.build_segment([("1-0", set()), ("2-0", set())])) == {}
    assert len(segments.merge_segments([segments.build_segment([("1-0", set())])] * 3)) == 8 + 3 * 16
