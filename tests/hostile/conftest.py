"""A hub and, beside it, Django alone: two servers of one installation, and a third that must never be called."""

import http.client
import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.hub import ROOT, Hub, running_hub
from tests.hostile.cases import Case
from tests.patience import eventually
from tests.ports import free_port

# For a server that hangs; an answer takes far less than the second that it may.
PATIENCE = 90.0
# What is there to be found.
KNOWN = {"stream": "platform-events", "group": "group-of-strangers", "subject": "platform-events.user-action"}
KNOWN |= {"version": "latest", "event_type": "user-action", "id": "1"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Server:
    """Where requests go, and its process."""

    name: str
    port: int
    pid: int

    def ask(self, case: Case) -> Answer:
        """Send the case over a connection of its own. Status 0: closed without an answer."""
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            # A server that refuses closes without reading on.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(case.wire())
            answer = _read(connection, case.method)
        return Answer(*answer, time.monotonic() - started)

    def peak_memory(self) -> int:
        """Return the most memory that the process has had, in bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) * 1024


class _Recorded:
    """What http.client reads an answer from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def _read(connection: socket.socket, method: str) -> tuple[int, Mapping[str, str], bytes]:
    data = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    if not data:
        return 0, {}, b""
    response = http.client.HTTPResponse(_Recorded(data), method=method)  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    return response.status, {name.lower(): text for name, text in response.getheaders()}, body


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub-of-strangers")) as running:
        yield running


@pytest.fixture(scope="package")
def front_door(hub: Hub) -> Server:
    return Server("front door", hub.port, hub._listener())


@pytest.fixture(scope="package")
def django(hub: Hub) -> Iterator[Server]:
    """Django alone, on the same data."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        cwd=ROOT,
        env=hub.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: socket.create_connection(("127.0.0.1", port)).close() or True, despite=OSError)
    yield Server("Django alone", port, process.pid)
    process.kill()
    process.wait()


@pytest.fixture(params=["front_door", "django"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="package")
def nobody() -> Iterator[socket.socket]:
    """A listener that must get no connections: `calls(nobody)` counts them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def calls(listener: socket.socket) -> int:
    """Return how many have called since the last time."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count
