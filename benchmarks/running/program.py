"""Programs that run during a benchmark: starting them, waiting until they are ready, ending them."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
START_PATIENCE = 30.0
STOP_PATIENCE = 15.0
POLL = 0.02


class DidNotStart(Exception):
    """A program ended or did not answer; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A running program that listens on `port`."""

    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, bytes]:
        """Send one request; return the status and the body of the answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answers(self) -> bool:
        """Say whether the program answers HTTP with a status below 500."""
        try:
            return self.ask("GET", "/health")[0] < 500
        except (OSError, http.client.HTTPException):
            return False


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    ready: Callable[[Program], bool] = Program.answers,
) -> Iterator[Program]:
    """Run a program during the block. Its output goes into a file in `folder`.

    Raises:
        DidNotStart: when it is not `ready` within 30 seconds.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        program = Program(name=name, port=port, pid=process.pid)
        deadline = time.monotonic() + START_PATIENCE
        while not ready(program):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(POLL)
        yield program
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
