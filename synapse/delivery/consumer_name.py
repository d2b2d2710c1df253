"""Who a consumer is. Its name, `host:pid:run`, lets others see whether its process still lives."""

import os
import re
import secrets
import socket

from synapse.runtime import process_table

_NAME = re.compile(r"(?P<host>.+):(?P<pid>[0-9]{1,10}):(?P<run>[0-9a-f]{8})")
_of_this_process: set[str] = set()


def process() -> str:
    """Return the name of this process: how the names of all its consumers begin."""
    return f"{_host()}:{os.getpid()}"


def fresh() -> str:
    """Return a name that no consumer has had."""
    name = f"{process()}:{secrets.token_hex(4)}"
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
    return process_table.is_alive(pid)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "unknown"
