"""A TCP proxy that loses what it is told to lose: for what happens when an answer never comes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Passes bytes to a server and back. While `drop_replies` is set, the next reply is swallowed and the connection
    closed: the server did its work, and the caller never hears of it. `drop_requests` does so with the next request:
    the server never hears of it."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.drop_replies = False
        self.drop_requests = False
        self.dropped = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._pass(client, server, self._lose)
                self._pass(server, client, self._swallow)

    def _lose(self) -> bool:
        if self.drop_requests:
            self.dropped += 1
        return self.drop_requests

    def _swallow(self) -> bool:
        if self.drop_replies:
            self.dropped += 1
        return self.drop_replies

    def _pass(self, source: socket.socket, target: socket.socket, loses: Callable[[], bool]) -> None:
        def work() -> None:
            with suppress(OSError), source, target:
                while (data := source.recv(65536)) and not loses():
                    target.sendall(data)
                for end in (source, target):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=work, daemon=True).start()


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
