"""Copy the data of the running embedded server, in a form from which a server can start."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from synapse.redis.command import Command
from synapse.redis.embedded import endpoint as embedded_endpoint
from synapse.redis.embedded import process
from synapse.redis.embedded.endpoint import EmbeddedRedisError, Endpoint, write_private
from synapse.redis.errors import RedisUnavailable, ReplyError
from synapse.runtime import private_files

# The file that BGSAVE writes: the server's defaults, because its configuration names neither.
SNAPSHOT = "dump.rdb"
# A server with an append-only file reads nothing else at its start. The first file of one may be a snapshot.
FOLDER, BASE, MANIFEST = "appendonlydir", "appendonly.aof.1.base.rdb", "appendonly.aof.manifest"
PATIENCE = 5.0
POLL = 0.05


def save(endpoint: Endpoint, folder: Path, target: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Write all data of the server of `folder`, as of one moment after the call, into the new folder `target`.

    Raises:
        EmbeddedRedisError: when the server does not answer or cannot write its snapshot.
    """
    try:
        _save_snapshot(endpoint, sleep)
    except (RedisUnavailable, ReplyError) as error:
        raise EmbeddedRedisError(f"The embedded Redis cannot be copied: {error}") from error
    files = target / FOLDER
    for new in (target, files):  # a mode given with `parents` is the last one's alone
        new.mkdir(mode=0o700)
    shutil.move(folder / SNAPSHOT, files / BASE)
    private_files.protect(files / BASE)
    with (files / BASE).open("rb") as file:
        os.fsync(file.fileno())
    write_private(files / MANIFEST, f"file {BASE} seq 1 type b\n")


def _save_snapshot(endpoint: Endpoint, sleep: Callable[[float], None]) -> None:
    """Let the server write a snapshot that begins after this call, and wait until it is on disk."""
    while (before := process.info(endpoint))["rdb_bgsave_in_progress"] == "1":
        sleep(POLL)
    # While the server rewrites its append-only file, the snapshot is next.
    process.ask(endpoint, Command(("BGSAVE", "SCHEDULE")))
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + PATIENCE:
        now = process.info(endpoint)
        # The server counts a snapshot when it begins.
        is_saving = now["rdb_bgsave_in_progress"] == "1"
        if now["rdb_saves"] != before["rdb_saves"] and not is_saving:
            if now["rdb_last_bgsave_status"] == "ok":
                return
            break
        if is_saving or now["aof_rewrite_in_progress"] == "1":
            quiet_since = time.monotonic()
        sleep(POLL)
    raise EmbeddedRedisError(f"The embedded Redis cannot write its snapshot; see {embedded_endpoint.LOG}.")
