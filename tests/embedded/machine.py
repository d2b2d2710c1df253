"""Actions of the tests on a server from outside: talk to it, kill it, wait for it."""

import os
import signal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from synapse.redis.embedded import Endpoint
from synapse.redis.embedded.process import read_info
from synapse.runtime import ports
from tests.patience import eventually


def client(endpoint: Endpoint, **options: object) -> redis.Redis:
    """Return a plain client that tries once."""
    return redis.Redis.from_url(endpoint.url, decode_responses=True, retry=Retry(NoBackoff(), 0), **options)


def pid_of(endpoint: Endpoint) -> int:
    return int(read_info(endpoint)["process_id"])


def crash(endpoint: Endpoint) -> int:
    """End the server as kill -9 does, and return when it is gone."""
    pid = pid_of(endpoint)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: ports.is_free(endpoint.host, endpoint.port))
    return pid


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process whose parent has not asked for its end yet is a mere entry in a table.
    return _command_line(pid) != b""


def _command_line(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b"unknown" if not os.path.exists("/proc/self") else b""
