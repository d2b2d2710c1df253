"""The processor time of a program, which is meaningful on a shared machine, too."""

import os
from pathlib import Path


def seconds(pid: int) -> float:
    """Return the user and system time of a running process in seconds; 0 where it is not available (no /proc)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # Fields 14 and 15 of proc_pid_stat(5). The second field is the program's name in brackets, which may contain
    # blanks.
    words = text.rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
