"""A client that sends pieces, and reads all that comes back until the connection ends."""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

# For a server that waits for more: what is answered takes some milliseconds.
PATIENCE = 10.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """A final answer; `status` is 0 for one without a head."""

    status: int
    body: bytes


def answers_to(pieces: Iterable[bytes], port: int, *, method: str = "") -> list[Answer]:
    """Send the pieces, one after another, and return the final answers. `method` is that of the first request.

    Raises:
        TimeoutError: when the connection does not end.
    """
    came = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A server that refuses closes without reading on.
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                came += part
    return _read(came, method)


def _read(came: bytes, method: str) -> list[Answer]:
    answers = []
    while came:
        head, end, came = came.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1."):
            return [*answers, Answer(0, head + end + came)]  # as HTTP/0.9 has them: without a head
        status = int(head[9:12])
        if status == 100:
            continue
        assert b"transfer-encoding" not in head.lower(), head
        length = _LENGTH.search(head + b"\r\n")
        assert length or status == 204, head
        size = 0 if length is None or (method == "HEAD" and not answers) else int(length[1])
        assert len(came) >= size, (head, came)
        answers.append(Answer(status, came[:size]))
        came = came[size:]
    return answers
