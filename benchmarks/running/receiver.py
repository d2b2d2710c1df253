"""A webhook receiver that costs as little as possible: it reads requests, counts them, and answers 204.

Run as `python -m benchmarks.running.receiver PORT`. `GET` answers the number of requests with other methods.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.running.program import LOOPBACK, Program, free_port, running

_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
_END, _LENGTH = b"\r\n\r\n", b"content-length:"


class Receiver(asyncio.Protocol):
    """One connection; `taken` counts for all."""

    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(_END)) >= 0:
            head = self._read[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._read) < end + len(_END) + length:
                return
            self._read = self._read[end + len(_END) + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"get "):
            count = str(Receiver.taken).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(count), count))
        else:
            Receiver.taken += 1
            self._transport.write(_TAKEN)


@contextmanager
def receiving(folder: Path) -> Iterator[Program]:
    """Run a receiver."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.running.receiver", str(port)]
    with running("receiver", command, port=port, folder=folder) as program:
        yield program


async def main() -> None:
    """Serve until it is ended."""
    server = await asyncio.get_running_loop().create_server(Receiver, LOOPBACK, int(sys.argv[1]), backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
