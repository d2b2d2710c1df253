"""The configuration of the embedded server, and the file that records its address.

With this configuration, no acknowledged write is lost, and no other user of the machine can connect.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

RECORD = "endpoint.json"
LOOPBACK = "127.0.0.1"


class EmbeddedRedisError(Exception):
    """The embedded server cannot be used. The message has the reason and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address and password of the embedded server. `str()` leaves the password out."""

    host: str = LOOPBACK
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL with the password, in the form of redis-py."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_endpoint(folder: Path) -> Endpoint | None:
    """Return the current or last address of the server of `folder`; None when it was never started.

    Reads one file and opens no connection, because the server may be down.

    Raises:
        EmbeddedRedisError: when the record cannot be read.
    """
    path = folder / RECORD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Endpoint(host=str(values["host"]), port=int(values["port"]), password=str(values["password"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedRedisError(f"Cannot read the address of the embedded Redis from {path}: {error!r}") from error


def write_endpoint(folder: Path, endpoint: Endpoint) -> None:
    """Record the endpoint in a file that only its owner can read. A reader sees either the old record or the new
    one.
    """
    write_private(folder / RECORD, json.dumps(asdict(endpoint), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only. A crash leaves either the old or the new file."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


CONFIGURATION = "valkey.conf"
LOG = "valkey.log"
PID = "valkey.pid"

# Paths are relative to the folder in which the server is started, so that the folder can be moved.
_TEMPLATE = """\
# Written by Synapse at every start; changes made here are lost.
bind {host} -::1
port {port}
protected-mode yes
requirepass {password}
timeout 0
tcp-keepalive 60

# An acknowledged event is on disk. `everysec` was seen to lose some on a plain kill -9.
appendonly yes
appendfsync always
# Without the preamble a rewrite forgets pending entries that were trimmed from their stream.
aof-use-rdb-preamble yes
# A write that was torn by a crash was never acknowledged: start without it.
aof-load-truncated yes
save ""
dir ./

# Full memory refuses events; it never throws any away.
maxmemory-policy noeviction

# The server outlives its supervisor, which finds it again by the folder's lock.
daemonize yes
supervised no
set-proc-title no
pidfile {pid}
logfile {log}
loglevel notice
latency-monitor-threshold 100
"""


def write_configuration(folder: Path, endpoint: Endpoint) -> Path:
    """Write the configuration into `folder`, readable by its owner only, and return its path."""
    path = folder / CONFIGURATION
    values = {"host": endpoint.host, "port": endpoint.port, "password": endpoint.password, "pid": PID, "log": LOG}
    write_private(path, _TEMPLATE.format(**values))
    return path
