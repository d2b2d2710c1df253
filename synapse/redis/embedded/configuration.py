"""The configuration of the embedded server: nothing acknowledged is ever lost, nobody else can reach it."""

from pathlib import Path

from synapse.redis.embedded.endpoint import Endpoint, write_private

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
