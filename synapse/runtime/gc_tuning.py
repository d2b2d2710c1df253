"""What long-running processes ask of Python's garbage collector, and of the allocator below it."""

import contextlib
import ctypes
import gc

# M_MMAP_THRESHOLD of glibc's malloc.h.
_MMAP_THRESHOLD = -3
LARGE = 1024 * 1024


def spare() -> None:
    """Keep the collector from walking all of Django again and again: what is there now, after the start, is no garbage.

    A process that makes some hundred objects for each request or event stood still for 70 ms once a second.
    """
    gc.collect()
    gc.freeze()
    # While it looks, no thread runs, and a thousand objects take half a millisecond. So it looks at few young ones at a
    # time: with 50,000, pages of the admin let the event loop stand still for 40 ms.
    gc.set_threshold(5_000, 3, 500)


def keep_large_blocks_apart() -> None:
    """Let glibc take each block of a MiB or more from the system by itself, and give it back as soon as it is freed.

    It does so from 128 KiB on at first, but raises that limit to the largest block that was freed (mallopt(3)): after
    one body of 8 MiB, all later ones leave holes between what is small. Other libraries have no such setting.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)
