"""Run uvicorn in this process or in several on one socket, and its services for the ASGI lifespan.

uvicorn was chosen by measurement (docs/performance.md): it takes two thirds of the processor time that granian takes
for the same request, refuses a port that is in use, and runs the application's end also when a request hangs.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.urls import get_resolver

from bridges.groups import expiry
from streams import background_tasks, connections, health
from streams.live.process_tails import tails
from streams.snapshot import holder
from synapse.runtime import process
from synapse.runtime.supervisor import Supervisor
from synapse.server import request_guard
from synapse.server.acceptor import Acceptor
from synapse.server.fast_path import connection_table_of
from synapse.server.http_protocol import options
from synapse_project import api_docs
from synapse_project.server_config import server_config


def load_views() -> None:
    """Import every view, and what they import."""
    get_resolver().url_patterns  # noqa: B018 - Django imports them when it is asked


class Lifespan:
    """Answers the server's start and stop messages."""

    async def __call__(
        self,
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                # In a thread: Django refuses queries on the event loop.
                await asyncio.to_thread(holder.current)
                # Before the collector is told what stays: the first requests would load it.
                await asyncio.to_thread(load_views)
                background_tasks.start()
                expiry.WORK.start()
                await asyncio.to_thread(health.start)
                request_guard.warning.write_at_start(server_config())
                process.tune_garbage_collector()
                process.keep_large_blocks_apart()
                # Beside the first requests, which need not wait for it.
                asyncio.get_running_loop().run_in_executor(None, api_docs.document)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(health.stop)
                await asyncio.to_thread(expiry.WORK.stop)
                await asyncio.to_thread(background_tasks.stop)
                tails().stop()
                connections.close_async_executors()
                await send({"type": "lifespan.shutdown.complete"})
                return


APPLICATION = "synapse_project.asgi:application"
# Linux allows as many where nothing else is set (net.core.somaxconn); beyond it, clients try again after a second.
BACKLOG = 4096
# How long requests that are being answered may take to finish after SIGTERM, in seconds.
GRACE = 10
POLL = 0.25
_STOPPING = "Stopping: requests that are being answered are finished first."
_STOPPED = "Stopped."
# How long a thread may go on while another one waits for Python's lock, in seconds. The event loop waits for each of
# Django's threads that is busy in turn: with Python's 5 ms, eight of them let it wait for 40 ms.
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
    """uvicorn's server, with an acceptor of ours.

    It ends live connections first when it stops: it waits for all answers, and those never end. `say` is told when it
    listens, and when it stops.
    """

    def __init__(self, config: uvicorn.Config, *, say: Callable[[str], object], address: str) -> None:
        super().__init__(config)
        self._say = say
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        protocol: Any = self.config.http_protocol_class
        make_protocol = partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        table = connection_table_of(self.config.loaded_app)
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
    """Answer requests in this process until SIGTERM or SIGINT; what is being answered is finished first."""
    # uvicorn raises the signal again after a clean stop; without handlers of ours that would end the process there.
    signal.signal(signal.SIGTERM, _do_nothing)
    signal.signal(signal.SIGINT, _do_nothing)
    process.raise_descriptor_limit()
    sys.setswitchinterval(SWITCH_INTERVAL)
    config = uvicorn.Config(APPLICATION, **options(timeout_graceful_shutdown=GRACE))
    Server(config, say=say, address=_address(listener)).run(sockets=[listener])


def run_workers(
    listener: socket.socket, count: int, complain: Callable[[str], None], *, say: Callable[[str], object] = str
) -> None:
    """Keep worker processes running on one socket until SIGTERM or SIGINT; `complain` is told of those that ended."""
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
