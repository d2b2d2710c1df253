"""A server behind TLS on loopback: the server of the tests speaks none, so something before it does."""

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote

import redis
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.valkey import PASSWORD, Valkey, running_valkey


@dataclass
class Secured:
    """A server that is reached over TLS alone, and the file of who vouches for it."""

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
        certificate = Path(folder) / "server.pem"
        authority = Path(folder) / "authority.pem"
        _issue(host, certificate, authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with _before(server.port, context) as port:
            yield Secured(server, port, authority)


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
    started.wait()
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


def _issue(host: str, certificate: Path, authority: Path) -> None:
    """Write a certificate for the host with its key, and that of the authority which signed it."""
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _builder(issuer, issuer, ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority.write_bytes(ca.sign(ca_key, SHA256()).public_bytes(Encoding.PEM))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    name = x509.IPAddress(IPv4Address(host)) if host[0].isdigit() else x509.DNSName(host)
    leaf = _builder(subject, issuer, key).add_extension(x509.SubjectAlternativeName([name]), critical=False)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate.write_bytes(leaf.sign(ca_key, SHA256()).public_bytes(Encoding.PEM) + secret)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(hours=1),
        now + timedelta(days=1),
    )
