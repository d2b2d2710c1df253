"""A lock on a file, held by a process and by every process it hands the descriptor to.

The operating system drops it when the last holder ends, however it ends: a lock can never be stale, and no process
number has to be trusted. Holders keep the descriptor open; closing the last copy releases.
"""

import contextlib
import fcntl
import os
from pathlib import Path


def take(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None when another process holds it.

    Raises:
        OSError: when the file cannot be opened, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock.

    Raises:
        OSError: when nobody can tell.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return False
