"""Decoding bodies that are sent with gzip (RFC 9110, 8.4.1.3; RFC 1952)."""

import gzip
import struct
import tracemalloc
import zlib

import pytest

from synapse.http.content_coding import MAX_SLICE, BadCoding, GzipDecoder, UnsupportedCoding, decode_body, decoder_of
from synapse.problems import PayloadTooLarge
from tests.gzip_bombs import gzip_bomb
from tests.tables import for_each

TEXT = b'{"event_type": "order-placed", "order_id": 1}'
MIB = 1024 * 1024
MOST = 8 * MIB


def gzipped(body):
    return gzip.compress(body, 6, mtime=0)


def all_of(body, *, piece=MOST):
    decoder = GzipDecoder()
    parts = [part for at in range(0, len(body), piece) for part in decoder.slices(body[at : at + piece])]
    decoder.finish()
    return b"".join(parts)


def with_name(body, size):
    """Return a member whose head names a file with a name of so many bytes."""
    plain = gzipped(body)
    return plain[:3] + b"\x08" + plain[4:10] + b"n" * size + b"\0" + plain[10:]


@for_each("piece", [1, 7, 4096, MOST])
@for_each("body", [b"", TEXT, TEXT * 5000, bytes(range(256)) * 300])
def test_a_body_is_decoded_however_it_is_cut(body, piece):
    assert all_of(gzipped(body)[:200_000], piece=piece) == body


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_the_name_of_a_file_in_the_head_is_passed_over(size):
    assert all_of(with_name(TEXT, size)) == TEXT


def test_a_body_of_empty_blocks_and_stored_ones_is_decoded():
    maker = zlib.compressobj(0, wbits=31)
    parts = [maker.compress(TEXT) + maker.flush(zlib.Z_FULL_FLUSH) for _ in range(2000)]

    assert all_of(b"".join(parts) + maker.flush()) == TEXT * 2000


def test_no_bytes_are_no_body():
    assert decode_body(GzipDecoder(), b"", most=MOST) == b""


DAMAGED = {
    "its first byte": (gzipped(TEXT)[:1], "its end is missing"),
    "its head": (gzipped(TEXT)[:9], "its end is missing"),
    "no checksum": (gzipped(TEXT)[:-8], "its end is missing"),
    "half a length": (gzipped(TEXT)[:-1], "its end is missing"),
    "a wrong checksum": (gzipped(TEXT)[:-8] + bytes(4) + gzipped(TEXT)[-4:], "its checksum (CRC-32)"),
    "a wrong length": (gzipped(TEXT)[:-4] + struct.pack("<I", 7), "its length is not"),
    "no gzip": (TEXT, "it does not begin as gzip does"),
    "zlib's format": (zlib.compress(TEXT), "it does not begin as gzip does"),
    "bare deflate": (zlib.compress(TEXT)[2:-4], "it does not begin as gzip does"),
    "another method": (b"\x1f\x8b\x07" + gzipped(TEXT)[3:], "unknown compression method"),
    "a reserved flag": (b"\x1f\x8b\x08\xe0" + gzipped(TEXT)[4:], "unknown header flags set"),
    "a bad block": (gzipped(TEXT)[:10] + b"\xff" * 40, "invalid block type"),
    "more behind it": (gzipped(TEXT) + b"x", "other bytes follow its end"),
    "a line break behind it": (gzipped(TEXT) + b"\n", "other bytes follow its end"),
    "zeros behind it": (gzipped(TEXT) + bytes(512), "other bytes follow its end"),
    "a second member": (gzipped(TEXT) * 2, "it has several members"),
    "an empty second member": (gzipped(TEXT) + gzipped(b""), "it has several members"),
}


@for_each("piece", [1, MOST])
@for_each("name", DAMAGED)
def test_a_damaged_body_is_refused_with_the_reason(name, piece):
    body, reason = DAMAGED[name]

    with pytest.raises(BadCoding) as refused:
        all_of(body, piece=piece)

    assert refused.value.status == 400
    # Of several members only the first byte has come where the body is cut behind it.
    assert reason in refused.value.detail or (
        piece == 1 and "members" in reason and "bytes follow" in refused.value.detail
    )


def test_a_bomb_is_decoded_no_further_than_its_reader_takes_and_a_slice():
    bomb = gzip_bomb(200)
    assert len(bomb) < 300_000

    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            decode_body(GzipDecoder(), bomb, most=MIB)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 3 * MIB


def test_no_slice_is_larger_than_the_limit_nor_stands_for_much_input():
    parts = list(GzipDecoder().slices(gzipped(bytes(3 * MIB))))

    assert max(map(len, parts)) == MAX_SLICE
    # A name of a megabyte decodes to nothing, and yields all the same.
    assert len(list(GzipDecoder().slices(with_name(TEXT, MIB)))) >= 64


@for_each("header", ["gzip", "GZIP", " gzip ", "x-gzip", "X-GZip", "identity, gzip", "gzip,", ",gzip"])
def test_gzip_is_decoded_under_both_of_its_names(header):
    decoder = decoder_of({"content-encoding": header})

    assert decoder is not None
    assert decode_body(decoder, gzipped(TEXT), most=MOST) == TEXT


@for_each("headers", [{}, *({"content-encoding": each} for each in ("", "identity", "Identity", ", ,"))])
def test_a_body_without_a_coding_is_taken_as_it_is(headers):
    assert decoder_of(headers) is None


@for_each(
    "header", ["br", "deflate", "compress", "zstd", "gzip, gzip", "gzip, br", "gzip;q=1", "*", "gzip2", "aes128gcm"]
)
def test_another_coding_is_refused_and_the_answer_tells_programs_which_one_is_decoded(header):
    with pytest.raises(UnsupportedCoding) as refused:
        decoder_of({"content-encoding": header})

    assert (refused.value.status, refused.value.headers) == (415, {"Accept-Encoding": "gzip"})
    assert f"“{header}”" in refused.value.detail
