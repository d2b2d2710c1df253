"""Files that only the user that Synapse runs as can reach, whatever the umask and the mode of their folder."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What SQLite keeps beside a database. It makes them with the rights of the database's own file.
_BESIDE_SQLITE = ("", "-wal", "-shm", "-journal")
# The umask of programs that are started here.
UMASK = _OTHERS


def protect(path: Path) -> str:
    """Take away what others may do with a file or folder. Return why that cannot be done, as a sentence, else "".

    What is not there needs no protection.
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
    """Protect a folder and all that is in it; give why some of it cannot be."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink() and (why := protect(path)):
            yield why


def protect_sqlite(path: Path) -> list[str]:
    """Protect a database of SQLite, which is made when it is not there. Return why some of its files cannot be."""
    # What cannot be made here, SQLite will say with its own words.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return [why for end in _BESIDE_SQLITE if (why := protect(path.with_name(path.name + end)))]
