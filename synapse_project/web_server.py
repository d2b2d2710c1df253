"""Run uvicorn in this process, or in several on one socket, with the protocol and the acceptor of `synapse.server`.

uvicorn was chosen by measurement (docs/performance.md): it needs two thirds of granian's processor time for the same
request, refuses a port that is in use, and runs the application's shutdown even if a request hangs.
"""

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

from streams.connections import tails
from synapse.runtime import process
from synapse.runtime.supervisor import Supervisor
from synapse.server.acceptor import Acceptor
from synapse.server.connection_table import ConnectionTable
from synapse.server.http_protocol import options
from synapse_project.endpoints import ROUTES
from synapse_project.front_door import FrontDoor

# Linux's default limit (net.core.somaxconn). When the backlog is full, clients retry after a second.
BACKLOG = 4096
# Seconds that requests in flight may take after SIGTERM.
GRACE = 10
POLL = 0.25
_STOPPING = "Stopping: requests that are being answered are finished first."
_STOPPED = "Stopped."
# Seconds that a thread may hold Python's lock while another one waits for it. The event loop waits for each busy thread
# of Django in turn: with Python's default of 5 ms, eight threads would delay it by 40 ms.
SWITCH_INTERVAL = 0.0005


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. Child processes inherit it.

    Raises:
        OSError: when the address cannot be used, for instance because another program listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


class Server(uvicorn.Server):
    """uvicorn's server with our own acceptor.

    On shutdown, it first ends live connections, because uvicorn waits for all responses and theirs never end. `say`
    gets a line when the server listens, and when it stops.
    """

    def __init__(
        self, config: uvicorn.Config, table: ConnectionTable, *, say: Callable[[str], object], address: str
    ) -> None:
        super().__init__(config)
        self._table = table
        self._say = say
        self._url = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        protocol: Any = self.config.http
        make_protocol = partial(protocol, server_state=self.server_state)
        table = self._table
        acceptors: list[Any] = [
            Acceptor(each, make_protocol, has_room=table.has_room, most_waiting=table.shares.limits.total)
            for each in sockets or ()
        ]
        self.servers = acceptors  # uvicorn only closes them
        if self.started:
            self._say(f"Synapse listens on {self._url}. Ctrl-C stops it.")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._say(_STOPPING)
        tails().stop()
        await super().shutdown(sockets)
        self._say(_STOPPED)


def run(listener: socket.socket, *, say: Callable[[str], object] = str) -> None:
    """Serve in this process until SIGTERM or SIGINT, and then finish requests in flight."""
    # uvicorn raises the signal again after a clean stop. The default handlers would end the process there.
    signal.signal(signal.SIGTERM, _do_nothing)
    signal.signal(signal.SIGINT, _do_nothing)
    process.raise_descriptor_limit()
    sys.setswitchinterval(SWITCH_INTERVAL)
    door = FrontDoor(ROUTES)
    config = uvicorn.Config(door, **options(door, timeout_graceful_shutdown=GRACE))
    Server(config, door.connections, say=say, address=_url_of(listener)).run(sockets=[listener])


def run_workers(
    listener: socket.socket, count: int, complain: Callable[[str], None], *, say: Callable[[str], object] = str
) -> None:
    """Keep worker processes running on one socket until SIGTERM or SIGINT. `complain` gets a line for each that
    ended.
    """
    supervisor = Supervisor(say=complain)
    supervisor.inherit(listener.fileno())
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", "--listener", str(listener.fileno())]
    # Set explicitly, because a shell that starts a program in the background makes it ignore SIGINT.
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.default_int_handler)
    try:
        say(f"Synapse listens on {_url_of(listener)}, with {count} processes. Ctrl-C stops it.")
        for number in range(1, count + 1):
            supervisor.add(f"web worker {number}", command)
        while True:
            supervisor.step()
            time.sleep(POLL)
    except KeyboardInterrupt:
        say(_STOPPING)
        with contextlib.suppress(KeyboardInterrupt):
            supervisor.stop()
        say(_STOPPED)
    finally:
        supervisor.kill()


def _url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _do_nothing(_: int, __: FrameType | None) -> None:
    """Replace the default handler, which would end the process."""
