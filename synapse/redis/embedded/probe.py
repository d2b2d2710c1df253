"""Probe the embedded server from outside: whether it answers, still loads its data, or is gone.

A small RESP2 connection sends the four commands the supervisor needs (AUTH, PING, INFO, SHUTDOWN). Commands on events
go through `synapse.redis`.
"""

import socket
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from synapse.redis.embedded.endpoint import Endpoint


class ErrorReply(Exception):
    """The server answered, and its answer is an error: `WRONGPASS ...`, `LOADING ...`."""


class Connection:
    """An authenticated connection; use it in a `with`. `timeout` is in seconds, for each answer.

    Raises:
        OSError: nobody listens, or no answer came in time (TimeoutError), or what came is not Redis's protocol.
        ErrorReply: the server refuses the password or the command.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float = 1.0) -> None:
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout=timeout)
        self._replies = self._socket.makefile("rb")
        try:
            self.call("AUTH", "default", endpoint.password)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def call(self, *words: str) -> str:
        """Send one command and return its answer."""
        parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
        self._socket.sendall("".join(parts).encode())
        kind, rest = self._line()
        if kind == "-":
            raise ErrorReply(rest)
        if kind == "$" and rest.isdigit():
            return self._read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind in ("+", ":"):
            return rest
        raise ConnectionError("what listens there does not speak Redis's protocol")

    def _line(self) -> tuple[str, str]:
        line = self._replies.readline(65_536)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed" if not line else "that is no Redis")
        text = line[:-2].decode(errors="replace")
        return text[:1], text[1:]

    def _read(self, size: int) -> bytes:
        data = self._replies.read(size)
        if len(data) < size:
            raise ConnectionError("the connection was closed")
        return data


def info(endpoint: Endpoint, section: str) -> dict[str, str]:
    """Return one section of the server's INFO. Works while the server is still loading its data."""
    with Connection(endpoint) as connection:
        lines = connection.call("INFO", section).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


class State(Enum):
    READY = auto()
    LOADING = auto()  # alive, and reading what it holds from disk
    SILENT = auto()  # it listens, but gave no answer in time
    AWAY = auto()  # nobody listens there, or somebody who does not take our password


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look showed. `said` completes the sentence "the server ..."; `loaded` counts bytes while loading."""

    state: State
    said: str
    loaded: int = 0


def look_at(endpoint: Endpoint) -> Look:
    """Ask the server once how it is, with an authenticated PING; takes a second or two at most."""
    try:
        with Connection(endpoint) as server:
            server.call("PING")
    except ErrorReply as error:
        if str(error).startswith("LOADING"):
            return _look_at_loading(endpoint)
        return Look(state=State.AWAY, said=f"refuses us ({error})")
    except TimeoutError:
        return Look(state=State.SILENT, said="gives no answer")
    except OSError as error:
        return Look(state=State.AWAY, said=f"is not there ({error.strerror or error})")
    return Look(state=State.READY, said="answers")


def _look_at_loading(endpoint: Endpoint) -> Look:
    try:
        persistence = info(endpoint, "persistence")
    except (OSError, ErrorReply) as error:
        return Look(state=State.SILENT, said=f"gives no answer ({error})")
    loaded, percent = persistence.get("loading_loaded_bytes", "0"), persistence.get("loading_loaded_perc", "100")
    return Look(state=State.LOADING, loaded=int(loaded), said=f"is reading its events: {float(percent):.0f} %")
