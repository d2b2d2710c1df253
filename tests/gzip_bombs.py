"""Bodies that decode to a thousand times their size."""

import zlib

MIB = 1024 * 1024


def gzip_bomb(mebibytes: int) -> bytes:
    """Return a gzip file that decodes to so many MiB of spaces, without the end that no reader gets to.

    A block that is flushed in full is the same each time: compressing all of them takes half a second.
    """
    maker = zlib.compressobj(wbits=31)
    first, other = (maker.compress(b" " * MIB) + maker.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + other * (mebibytes - 1)
