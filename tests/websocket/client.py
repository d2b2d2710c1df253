"""A client that opens a WebSocket on a real socket, and sends whatever a test wants."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from tests.websocket.frames import CLOSE, TEXT, Read, read, text

NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
# Of that nonce (RFC 6455, 1.3).
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
PATIENCE = 10


def handshake(target: str = "/ws", /, **headers: str | None) -> bytes:
    """Return a handshake. Headers replace the usual ones; None leaves one out."""
    usual: dict[str, str | None] = {
        "Host": "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": NONCE,
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in {**usual, **given}.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()


class Client:
    """A connection, and what came on it."""

    def __init__(self, port: int, first: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""
        self.socket.sendall(first)

    def head(self) -> tuple[int, dict[str, str]]:
        """Wait for the head of an answer; return its status and headers."""
        while b"\r\n\r\n" not in self._came:
            self._receive()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    def problem(self) -> dict[str, Any]:
        """Wait for the rest of an answer that ends the connection, and return its problem document."""
        while part := self.socket.recv(65536):
            self._came += part
        problem: dict[str, Any] = orjson.loads(self._came)
        return problem

    def frame(self) -> Read:
        """Wait for the next frame."""
        while (found := next(read(self._came), None)) is None:
            self._receive()
        self._came = self._came[_length(found) :]
        return found

    def say(self, **command: Any) -> None:
        self.socket.sendall(text(orjson.dumps(command)))

    def hear(self) -> dict[str, Any]:
        """Wait for the next message, and return its object."""
        found = self.frame()
        assert found.opcode == TEXT, found
        message: dict[str, Any] = orjson.loads(found.payload)
        return message

    def ask(self, **command: Any) -> dict[str, Any]:
        """Say a command, and return its answer, which has to be the next message."""
        self.say(**command, id=7)
        answer = self.hear()
        assert answer.pop("id") == 7
        return answer

    def end(self) -> tuple[int, str]:
        """Wait for a Close frame, and return its code and reason."""
        while (found := self.frame()).opcode != CLOSE:
            pass
        return found.code, found.payload[2:].decode()

    def is_closed(self) -> bool:
        return self.socket.recv(1) == b""

    def _receive(self) -> None:
        part = self.socket.recv(65536)
        if not part:
            raise EOFError(self._came)
        self._came += part


def _length(frame: Read) -> int:
    size = len(frame.payload)
    return size + (2 if size < 126 else 4 if size < 1 << 16 else 10)


@contextmanager
def connected(port: int, target: str = "/ws", /, **headers: str | None) -> Iterator[Client]:
    """Hold an open WebSocket for as long as the block lasts."""
    client = Client(port, handshake(target, **headers))
    try:
        status, answered = client.head()
        assert (status, answered["sec-websocket-accept"]) == (101, ACCEPT), answered
        yield client
    finally:
        client.socket.close()
