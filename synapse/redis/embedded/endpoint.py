"""Configure the embedded server, and record in one file the address where it listens.

The configuration loses nothing that was acknowledged, and lets no other user connect.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

RECORD = "endpoint.json"
LOOPBACK = "127.0.0.1"


class EmbeddedRedisError(Exception):
    """The embedded server cannot be used. The message says why and what to do, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address and password of the embedded server. `str()` leaves the password out."""

    host: str = LOOPBACK
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address with the password, as redis-py takes it."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def recorded_endpoint(folder: Path) -> Endpoint | None:
    """Return where the server of `folder` listens or last listened; None when there never was one.

    Reads one file without a connection: the server may be down.

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


def record(folder: Path, endpoint: Endpoint) -> None:
    """Write down the endpoint, for its owner's eyes only, so that a reader sees the old record or the new one."""
    write_private(folder / RECORD, json.dumps(asdict(endpoint), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace the file as a whole; only its owner can read it, and a crash leaves the old or the new one."""
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

# Paths are relative to the folder, where the server is started: a folder that is moved takes its server along.
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


def write(folder: Path, endpoint: Endpoint) -> Path:
    """Write the configuration into `folder`, readable by its owner only, and return where."""
    path = folder / CONFIGURATION
    values = {"host": endpoint.host, "port": endpoint.port, "password": endpoint.password, "pid": PID, "log": LOG}
    write_private(path, _TEMPLATE.format(**values))
    return path
