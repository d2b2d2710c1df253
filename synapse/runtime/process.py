"""Settings of this process for descriptors, garbage collection and memory, and the state of other processes.

Each connection takes a descriptor, and the systems' initial limit is soon reached.
"""

import contextlib
import ctypes
import gc
import os
import resource
import subprocess
from pathlib import Path

# The limits to try, highest first, on a system that reports “unlimited” and allows less (macOS); the last is its
# OPEN_MAX.
_FURTHER = (1_048_576, 65_536, 24_576, 10_240)


def raise_descriptor_limit() -> None:
    """Raise this process's limit of open descriptors to the highest that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    for most in (hard, *_FURTHER):
        if most == resource.RLIM_INFINITY or soft < most:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            except (OSError, ValueError):
                continue
            return


# M_MMAP_THRESHOLD of glibc's malloc.h.
_MMAP_THRESHOLD = -3
LARGE = 1024 * 1024


def tune_garbage_collector() -> None:
    """Exempt the objects that exist after the start from garbage collection, so that it does not walk all of Django
    repeatedly.

    Otherwise a process that creates some hundred objects for each request or event stood still for 70 ms once a second.
    """
    gc.collect()
    gc.freeze()
    # All threads stop during a collection, and a thousand objects take half a millisecond. So only a few young objects
    # are examined at a time: with 50,000, pages of the admin stopped the event loop for 40 ms.
    gc.set_threshold(5_000, 3, 500)


def keep_large_blocks_apart() -> None:
    """Let glibc map each block of a MiB or more separately, and return it to the system as soon as it is freed.

    By default glibc does so from 128 KiB on, but raises the threshold to the largest block that was freed (mallopt(3)):
    after one body of 8 MiB, all later ones leave holes between small blocks. Other C libraries have no such setting.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)


# The folder of Linux with a file for each process.
_PROCESSES = Path("/proc")


def is_alive(pid: int) -> bool:
    """Say whether a process runs. A zombie, which has ended but was not awaited by its parent, does not."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not state_of(pid).startswith("Z")


def state_of(pid: int) -> str:
    """Return the state of a process: a letter (Z for a zombie), followed by more on some systems; "" when unknown.

    On Linux it is in a file (proc_pid_stat(5)), after the name, which is in brackets and may contain brackets. Other
    systems have `ps` (POSIX).
    """
    try:
        return (_PROCESSES / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        if (_PROCESSES / "self" / "stat").exists():
            return ""
    try:
        asked = ["ps", "-o", "stat=", "-p", str(pid)]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    except OSError:
        return ""
