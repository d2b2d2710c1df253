"""The processor time that a program has used, which stays meaningful on a machine that other programs share."""

import os
from pathlib import Path


def seconds(pid: int) -> float:
    """Return the time of a running process, its own and the kernel's for it; 0 where that cannot be told (no /proc)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # The second word is the program's name in brackets, which may hold blanks: proc_pid_stat(5), fields 14 and 15.
    words = text.rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
