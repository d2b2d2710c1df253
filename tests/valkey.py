"""A real Valkey for the tests: on loopback, on a free port, with a password, without persistence.

`SYNAPSE_TESTS_SERVER`, the path of another engine's server, has them run on that one.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from synapse.redis.embedded.process import find_server
from tests.ports import free_port

PASSWORD = "redispassword"
ANOTHER = os.environ.get("SYNAPSE_TESTS_SERVER")


@dataclass(frozen=True)
class Tls:
    """The certificates of servers, and whether they ask clients for one. `program`: a server that speaks TLS."""

    program: str
    authority: Path
    certificate: Path
    client: Path

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that takes nobody without a certificate, and speaks TLS to others as well."""
        return {
            "port": "0",
            "tls-cert-file": str(self.certificate),
            "tls-key-file": str(self.certificate),
            "tls-ca-cert-file": str(self.authority),
            "tls-auth-clients": "yes",
            "tls-replication": "yes",
        }

    @property
    def of_client(self) -> dict[str, str]:
        """What a client shows and asks for, by the names that redis-py and URLs have for it."""
        return {
            "ssl_ca_certs": str(self.authority),
            "ssl_certfile": str(self.client),
            "ssl_keyfile": str(self.client),
        }


@dataclass
class Valkey:
    """A server process that a test may stop, freeze and start again."""

    port: int
    folder: Path
    options: tuple[str, ...] = ()
    tls: Tls | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        if self.tls:
            return f"rediss://:{PASSWORD}@127.0.0.1:{self.port}/0?{urlencode(self.tls.of_client)}"
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        """Return a plain client for arranging and looking: bytes, and no retries."""
        return redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=60, **options)

    def start(self) -> None:
        words = [self.tls.program if self.tls else ANOTHER or str(find_server())]
        words += ["--tls-port" if self.tls else "--port", str(self.port), "--bind", "127.0.0.1"]
        for name, text in (self.tls.settings if self.tls else {}).items():
            words += [f"--{name}", text]
        words += ["--requirepass", PASSWORD]
        words += ["--dir", str(self.folder), "--save", "", "--maxmemory-policy", "noeviction", *self.options]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 180
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if time.monotonic() > deadline or self.process.poll() is not None:
                        raise
                    time.sleep(0.01)

    def kill(self) -> None:
        """End the process as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it do nothing for as long as the block lasts; its connections stay."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_valkey(*options: str, tls: Tls | None = None) -> Iterator[Valkey]:
    """Run a server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="synapse-valkey-") as folder:
        server = Valkey(port=free_port(), folder=Path(folder), options=options, tls=tls)
        server.start()
        try:
            yield server
        finally:
            server.kill()
