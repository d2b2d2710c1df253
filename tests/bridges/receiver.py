"""A webhook's receiver: a real HTTP server in a thread, which answers as a test wants it to."""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook

# Sends an answer, and says whether the connection stays open.
Answer = Callable[[socket.socket], bool]


@dataclass(frozen=True)
class Request:
    """A request as it came; the names of headers in small letters."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Ask the library that receivers use."""
        Webhook(secret).verify(self.body, dict(self.headers))
        return True


def answer(status: int, *, body: bytes = b"", **headers: str) -> Answer:
    """Return an answer of the usual form: `answer(429, retry_after="7")`."""
    lines = [f"HTTP/1.1 {status} Word", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def send(connection: socket.socket) -> bool:
        connection.sendall(whole)
        return True

    return send


class Receiver:
    """Listens on loopback. `answers` is asked for each request by its number, from 0. `most_at_once`: how many requests
    were there together."""

    def __init__(self, *, tls: Any = None) -> None:
        self.got: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        self.answers: Callable[[int], Answer] = lambda _: answer(204)
        self._now = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/events?to=shop"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def always(self, this: Answer) -> None:
        self.answers = lambda _: this

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in list(self._open):
            connection.close()

    def hang_up(self) -> None:
        """Close the connections that nobody uses."""
        for connection in list(self._open):
            with suppress(OSError):  # the other end was first
                connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.add(connection)
            with connection.makefile("rb") as lines:
                while self._serve_one(connection, lines):
                    pass
        except OSError:
            pass
        finally:
            connection.close()
            self._open.discard(connection)

    def _serve_one(self, connection: socket.socket, lines: Any) -> bool:
        first = lines.readline().decode().strip()
        if not first:
            return False
        headers = {}
        while line := lines.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = lines.read(int(headers.get("content-length", 0)))
        with self._lock:
            number = len(self.got)
            self.got.append(Request(first, headers, body))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            return self.answers(number)(connection)
        finally:
            with self._lock:
                self._now -= 1
