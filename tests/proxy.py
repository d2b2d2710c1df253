"""A TCP proxy that loses the requests or replies a test chooses: for answers that never come."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import hiredis

# The request never arrives; the answer never does, and the connection breaks; it comes too late; it never comes, and
# the connection looks alive.
Kind = Literal["drop request", "drop reply", "delay", "half-open"]


@dataclass
class Fault:
    """What goes wrong once, with the first request whose words `matches` accepts. `seconds`: of a delay."""

    kind: Kind
    matches: Callable[[list[bytes]], bool]
    seconds: float = 1.0
    happened: bool = False


@dataclass
class Link:
    """One connection through the proxy, and the fate of its next answer."""

    fate: Fault | None = None


class Proxy:
    """Passes bytes to a server and back. While `drop_replies` is set, the next reply is swallowed and the connection
    closed: the server did its work, and the caller never hears of it. `drop_requests` does so with the next request:
    the server never hears of it. `fault` does
    so for a request of one kind."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.drop_replies = False
        self.drop_requests = False
        self.dropped = 0
        self.fault: Fault | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                link, reader = Link(), hiredis.Reader(notEnoughData=Ellipsis)
                self._pass(client, server, lambda data, link=link, reader=reader: self._ask(data, link, reader))
                self._pass(server, client, lambda _, link=link: self._answer(link))

    def _ask(self, data: bytes, link: Link, reader: hiredis.Reader) -> bool:
        """Look at requests; say whether they are passed on."""
        if self.drop_requests:
            self.dropped += 1
            return False
        reader.feed(data)
        while (words := reader.gets()) is not Ellipsis:
            fault = self.fault
            if fault is not None and not fault.happened and fault.matches(words):
                fault.happened = True
                link.fate = fault
        return link.fate is None or link.fate.kind != "drop request"

    def _answer(self, link: Link) -> bool:
        """Look at an answer; say whether it is passed on."""
        if self.drop_replies:
            self.dropped += 1
            return False
        match link.fate.kind if link.fate else None:
            case "drop reply":
                return False
            case "delay":
                time.sleep(link.fate.seconds)
                link.fate = None
            case "half-open":
                # Until the caller gives up; then this socket is closed by the other direction.
                while link.fate is not None and not self._listener._closed:
                    time.sleep(0.01)
                return False
        return True

    def _pass(self, source: socket.socket, target: socket.socket, passes: Callable[[bytes], bool]) -> None:
        def work() -> None:
            with suppress(OSError), source, target:
                while (data := source.recv(65536)) and passes(data):
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
