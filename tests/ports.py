"""Ports for the servers of the tests."""

import itertools
import os
import random
import socket

# Below the ports that systems give to outgoing connections: from 32,768 on Linux, from 49,152 elsewhere.
_FIRST, _EACH, _PROCESSES = 10_000, 2_000, 10
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
# Another run on this machine begins elsewhere.
_numbers = itertools.count(random.randrange(_EACH))


def free_port() -> int:
    """Return a TCP port that nobody listens on now, and that nobody else will be given.

    One that the system chooses may be an outgoing connection's, or another test's, before the server listens on it.
    """
    for number in itertools.islice(_numbers, _EACH):
        port = _FIRST + _process * _EACH + number % _EACH
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
