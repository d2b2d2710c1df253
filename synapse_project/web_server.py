"""The web server: uvicorn in this process, or several worker processes on one socket.

uvicorn was chosen by measurement (docs/performance.md): it takes two thirds of the processor time that granian takes
for the same request, refuses a port that is in use, and runs the application's end also when a request hangs.
"""

import contextlib
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from django.conf import settings

from streams.tail import tails
from synapse_project.http_protocol import options
from synapse_project.processes import Supervisor

APPLICATION = "synapse_project.asgi:application"
BACKLOG = 2048
# How long requests that are being answered may take to finish after SIGTERM, in seconds.
GRACE = 10
POLL = 0.25
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
    """uvicorn's server, which ends live connections first: it waits for all answers, and those never end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tails().stop()
        await super().shutdown(sockets)


def run(listener: socket.socket) -> None:
    """Answer requests in this process until SIGTERM or SIGINT; what is being answered is finished first."""
    # uvicorn raises the signal again after a clean stop; without handlers of ours that would end the process there.
    signal.signal(signal.SIGTERM, _do_nothing)
    signal.signal(signal.SIGINT, _do_nothing)
    _take_descriptors()
    sys.setswitchinterval(SWITCH_INTERVAL)
    Server(uvicorn.Config(APPLICATION, **options(timeout_graceful_shutdown=GRACE))).run(sockets=[listener])


def run_workers(listener: socket.socket, count: int, say: Callable[[str], None]) -> None:
    """Keep worker processes running on one socket until SIGTERM or SIGINT."""
    supervisor = Supervisor(say=say)
    supervisor.inherit(listener.fileno())
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", "--listener", str(listener.fileno())]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for number in range(1, count + 1):
            supervisor.add(f"web worker {number}", command)
        while True:
            supervisor.step()
            time.sleep(POLL)
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):
            supervisor.stop()
    finally:
        supervisor.kill()


def _take_descriptors() -> None:
    """Let this process have as many descriptors as it may: a connection is one, and the usual 1024 are soon gone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system that calls more than it gives unlimited
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _do_nothing(_: int, __: FrameType | None) -> None:
    """Stand in for the default handler, which ends the process."""
