"""Set how many descriptors this process may have and how it collects garbage, and find out whether another one lives.

A connection is one descriptor, and what systems give at first is soon gone.
"""

import contextlib
import ctypes
import gc
import os
import resource
import subprocess
from pathlib import Path

# The limits to try where a system reports “unlimited” and allows less (macOS), the highest first; the last is its
# OPEN_MAX.
_FURTHER = (1_048_576, 65_536, 24_576, 10_240)


def raise_descriptor_limit() -> None:
    """Let this process have as many as it may."""
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
    """Keep the garbage collector from walking all of Django again and again: objects that exist after the start are
    exempt.

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


# Where Linux tells of processes.
_PROCESSES = Path("/proc")


def is_alive(pid: int) -> bool:
    """Say whether a process runs. One that has ended, and that its parent has not asked how, does not."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not state_of(pid).startswith("Z")


def state_of(pid: int) -> str:
    """Return the state of a process: a letter, Z for a zombie, and on some systems more behind it; "" when unknown.

    Linux has it in a file (proc_pid_stat(5)): the state follows the name, which stands in brackets and may hold any.
    The others have `ps` (POSIX).
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
