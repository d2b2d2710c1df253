"""Files that only the user running Synapse can read, under any umask, and locks on files.

A lock is held by a process and by every process that inherits its descriptor. The operating system releases it when the
last holder ends, even by a crash: a lock is never stale, and no process id has to be trusted.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def take_lock(path: Path) -> int | None:
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
        OSError: when the lock cannot be tested.
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


_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The files that SQLite keeps beside a database, with the permissions of the database's own file.
_BESIDE_SQLITE = ("", "-wal", "-shm", "-journal")
# The umask of the programs that Synapse starts.
UMASK = _OTHERS


def protect(path: Path) -> str:
    """Remove the permissions of other users on a file or folder. Return the reason of a failure as a sentence, else "".

    A missing file needs no protection.
    """
    try:
        found = path.stat()
        if found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return (
            f"Other users of this machine can reach {path}, and that cannot be changed here ({error.strerror}). Make it"
            f" the property of the user that Synapse runs as (uid {os.geteuid()}), with the mode 0600."
        )
    return ""


def protect_tree(folder: Path) -> Iterator[str]:
    """Protect a folder and everything in it. Yield the reason of each failure."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink() and (why := protect(path)):
            yield why


def protect_sqlite(path: Path) -> list[str]:
    """Protect a SQLite database, which is created if it does not exist. Return the reasons of failures."""
    # SQLite itself reports errors that prevent the creation of the file here.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return [why for end in _BESIDE_SQLITE if (why := protect(path.with_name(path.name + end)))]
