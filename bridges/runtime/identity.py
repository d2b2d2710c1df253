"""Who a consumer is. Its name, `host:pid:run`, lets others see whether its process still lives."""

import os
import re
import secrets
import socket
from pathlib import Path

_NAME = re.compile(r"(?P<host>.+):(?P<pid>[0-9]{1,10}):(?P<run>[0-9a-f]{8})")
_of_this_process: set[str] = set()


def fresh() -> str:
    """Return a name that no consumer has had."""
    name = f"{_host()}:{os.getpid()}:{secrets.token_hex(4)}"
    _of_this_process.add(name)
    return name


def forget(name: str) -> None:
    """Note that nobody of this process reads under this name any more: what is left under it is a dead consumer's."""
    _of_this_process.discard(name)


def is_generated(name: str) -> bool:
    """Say whether this is a name that `fresh` made, here or elsewhere."""
    return _NAME.fullmatch(name) is not None


def runs_here(name: str) -> bool | None:
    """Say whether the consumer's process runs on this host; None when the name does not tell."""
    found = _NAME.fullmatch(name)
    if found is None or found["host"] != _host():
        return None
    pid = int(found["pid"])
    if pid == os.getpid():
        # In a container every run has the same number: an earlier run's name is not one of ours.
        return name in _of_this_process
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Say whether a process has ended and only its parent has not asked how: in a container perhaps nobody ever will.

    Only Linux tells (proc_pid_stat(5): the state follows the name, which stands in brackets and may hold any).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "unknown"
