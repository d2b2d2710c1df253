"""Run uvicorn in this process, or in several on one socket, with the protocol and the acceptor of `synapse.server`.

uvicorn was chosen by measurement (docs/performance.md): it takes two thirds of the processor time that granian takes
for the same request, refuses a port that is in use, and runs the application's end also when a request hangs.
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

# Linux allows as many where nothing else is set (net.core.somaxconn); beyond it, clients try again after a second.
BACKLOG = 4096
# How long requests that are being answered may take to finish after SIGTERM, in seconds.
GRACE = 10
POLL = 0.25
_STOPPING = "Stopping: requests that are being answered are finished first."
_STOPPED = "Stopped."
# Seconds for which a thread may run while another one waits for Python's lock. The event loop waits for each busy
# thread of Django in turn: with Python's 5 ms, eight threads would delay it by 40 ms.
SWITCH_INTERVAL = 0.0005


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

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

    When it stops, it first ends live connections, because it waits for all answers and theirs never end. `say` gets a
    line when it listens, and when it stops.
    """

    def __init__(
        self, config: uvicorn.Config, table: ConnectionTable, *, say: Callable[[str], object], address: str
    ) -> None:
        super().__init__(config)
        self._table = table
        self._say = say
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        protocol: Any = self.config.http
        make_protocol = partial(protocol, server_state=self.server_state)
        table = self._table
        acceptors: list[Any] = [
            Acceptor(each, make_protocol, has_room=table.has_room, most_waiting=table.shares.limits.total)
            for each in sockets or ()
        ]
        self.servers = acceptors  # all that uvicorn does with them is to close them
        if self.started:
            self._say(f"Synapse listens on {self._address}. Ctrl-C stops it.")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._say(_STOPPING)
        tails().stop()
        await super().shutdown(sockets)
        self._say(_STOPPED)


def run(listener: socket.socket, *, say: Callable[[str], object] = str) -> None:
    """Answer requests in this process until SIGTERM or SIGINT; requests in flight are finished first."""
    # uvicorn raises the signal again after a clean stop; without handlers of ours that would end the process there.
    signal.signal(signal.SIGTERM, _do_nothing)
    signal.signal(signal.SIGINT, _do_nothing)
    process.raise_descriptor_limit()
    sys.setswitchinterval(SWITCH_INTERVAL)
    door = FrontDoor(ROUTES)
    config = uvicorn.Config(door, **options(door, timeout_graceful_shutdown=GRACE))
    Server(config, door.connections, say=say, address=_address(listener)).run(sockets=[listener])


def run_workers(
    listener: socket.socket, count: int, complain: Callable[[str], None], *, say: Callable[[str], object] = str
) -> None:
    """Keep worker processes running on one socket until SIGTERM or SIGINT, reporting those that ended to `complain`."""
    supervisor = Supervisor(say=complain)
    supervisor.inherit(listener.fileno())
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", "--listener", str(listener.fileno())]
    # Also where a shell that started it in the background let it ignore SIGINT.
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.default_int_handler)
    try:
        say(f"Synapse listens on {_address(listener)}, with {count} processes. Ctrl-C stops it.")
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


def _address(listener: socket.socket) -> str:
    """Return the URL of the address that a socket listens on."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _do_nothing(_: int, __: FrameType | None) -> None:
    """Stand in for the default handler, which ends the process."""
