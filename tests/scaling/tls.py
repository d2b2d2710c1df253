"""A server behind TLS on loopback: the server that comes with the tests speaks none, so something before it does."""

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis

from tests.certificates import Authority
from tests.valkey import PASSWORD, Valkey, running_valkey


@dataclass
class Secured:
    """A server that is reached over TLS alone, and the file of its certificate authority."""

    server: Valkey
    port: int
    authority: Path

    @property
    def url(self) -> str:
        return self.url_with(ssl_ca_certs=str(self.authority))

    def url_with(self, **parameters: str) -> str:
        """Return a URL with these parameters."""
        query = "&".join(f"{name}={quote(text)}" for name, text in parameters.items())
        return f"rediss://:{PASSWORD}@127.0.0.1:{self.port}/0?{query}"

    def clients(self) -> list[redis.Redis]:
        return [self.server.client()]


@contextmanager
def secured(host: str = "127.0.0.1") -> Iterator[Secured]:
    """Run a server behind TLS, with a certificate for `host`, for as long as the block lasts."""
    with running_valkey() as server, tempfile.TemporaryDirectory(prefix="synapse-tls-") as folder:
        issuer = Authority(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issuer.issue(host))
        with _before(server.port, context) as port:
            yield Secured(server, port, issuer.file)


@contextmanager
def _before(upstream: int, context: ssl.SSLContext) -> Iterator[int]:
    """Speak TLS on a port, and pass on what comes."""
    ready: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()

    async def both_ways(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, question = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.gather(_pass(client, question), _pass(server, answer))

    async def listen() -> None:
        async with await asyncio.start_server(both_ways, "127.0.0.1", 0, ssl=context) as listener:
            ready.append(listener.sockets[0].getsockname()[1])
            started.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    # A client that refuses the certificate goes away in the middle of the handshake.
    loop.set_exception_handler(lambda *_: None)
    task = loop.create_task(listen())
    thread = threading.Thread(target=loop.run_until_complete, args=[task])
    thread.start()
    assert started.wait(60)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.run_until_complete(_end_all())
        loop.close()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


async def _end_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
