"""webdis, an HTTP server in C that forwards any command to Redis. It shows the cost of HTTP alone."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from benchmarks.running.program import LOOPBACK, Program, free_port, running
from benchmarks.values import NotMeasured
from synapse.redis.embedded.endpoint import Endpoint, write_private

STREAM = "webdis-inference-events"


@contextmanager
def serving(folder: Path, redis: Endpoint) -> Iterator[Program]:
    """Run webdis with the two threads that Debian's package gives it.

    Raises:
        NotMeasured: when it is not installed.
    """
    binary = shutil.which("webdis")
    if binary is None:
        raise NotMeasured("webdis is not installed (Debian package webdis)")
    port = free_port()
    configuration = {
        "redis_host": redis.host,
        "redis_port": redis.port,
        "redis_auth": redis.password,
        "http_host": LOOPBACK,
        "http_port": port,
        "threads": 2,
        "daemonize": False,
        "database": 0,
        "verbosity": 2,
        "logfile": str(folder / "webdis-own.log"),
    }
    path = folder / "webdis.json"
    write_private(path, json.dumps(configuration))
    with running("webdis", [binary, str(path)], port=port, folder=folder) as program:
        yield program


def xadd(fields: Sequence[bytes]) -> bytes:
    """Return the body of a POST that appends an entry."""
    return "/".join(quote(word, safe="") for word in (b"XADD", STREAM.encode(), b"*", *fields)).encode()
