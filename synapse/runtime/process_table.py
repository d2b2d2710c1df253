"""Whether a process of this machine lives. Pure but for asking the operating system."""

import os
import subprocess
from pathlib import Path

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
    """Return the state of a process: a letter, Z for a zombie, and on some systems more behind it. "": nobody tells.

    Linux tells in a file (proc_pid_stat(5)): the state follows the name, which stands in brackets and may hold any. The
    others have `ps` (POSIX).
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
