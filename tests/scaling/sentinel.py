"""A primary, its replica and Sentinels that watch over them, on loopback: the same program as the server."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import redis

from synapse.redis.embedded.process import find_server
from tests.patience import eventually
from tests.ports import free_port
from tests.valkey import ANOTHER, PASSWORD, Tls, Valkey, running_valkey

SERVICE = "events"
SENTINELS_PASSWORD = "sentinelpassword"
# Milliseconds without an answer after which a Sentinel holds a server for dead. It asks every second: with much less it
# would also give up on the server that it has just made the primary, before it asked that one at all. While nobody is
# dead it is told to be more patient: a busy machine is late with its answers too.
DOWN_AFTER, LATE_AFTER = 1500, 600_000


@dataclass
class Watched:
    """The servers, and where the Sentinels are."""

    servers: list[Valkey]
    sentinels: list[int]
    tls: Tls | None = None

    @property
    def url(self) -> str:
        """The URL for Synapse. The first Sentinel that it names is not there."""
        places = ",".join(f"127.0.0.1:{port}" for port in (1, *self.sentinels))
        login = {"sentinel_password": SENTINELS_PASSWORD, **(self.tls.of_client if self.tls else {})}
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}+sentinel://:{PASSWORD}@{places}/{SERVICE}/0?{urlencode(login)}"

    @property
    def primary(self) -> Valkey:
        """The server that the Sentinels hold for the primary."""
        with _client_of(self.sentinels[0], self.tls) as sentinel:
            port = int(sentinel.sentinel_master(SERVICE)["port"])
        return next(server for server in self.servers if server.port == port)

    def clients(self) -> list[redis.Redis]:
        """Return a plain client of each server that takes writes: the primary."""
        return [self.primary.client()]

    def kill_the_primary(self) -> Valkey:
        """End the primary as kill -9 does, and wait until the Sentinels have another. Return the dead one."""
        dead = self.primary
        dead.kill()
        self._give_up_after(DOWN_AFTER)
        eventually(lambda: self.primary is not dead)
        self._give_up_after(LATE_AFTER)
        return dead

    def _give_up_after(self, milliseconds: int) -> None:
        for port in self.sentinels:
            with _client_of(port, self.tls) as sentinel:
                sentinel.sentinel_set(SERVICE, "down-after-milliseconds", milliseconds)

    def start_as_replica(self, server: Valkey) -> None:
        """Start a dead server again, as a replica of the primary, and wait until it has all."""
        primary = self.primary
        server.options = (*_OPTIONS, *_replica_of(primary))
        server.start()
        eventually(lambda: _has_replica(primary), despite=redis.RedisError)


_OPTIONS = ("--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0", "--appendonly", "yes")


@contextmanager
def watched_by_sentinels(count: int = 1, tls: Tls | None = None) -> Iterator[Watched]:
    """Run all of it for as long as the block lasts; `count` Sentinels, of which most must agree."""
    with ExitStack() as stack:
        primary = stack.enter_context(running_valkey(*_OPTIONS, tls=tls))
        replica = stack.enter_context(running_valkey(*_OPTIONS, *_replica_of(primary), tls=tls))
        eventually(lambda: _has_replica(primary), despite=redis.RedisError)
        ports = [stack.enter_context(_sentinel(primary.port, count // 2 + 1, tls)) for _ in range(count)]
        for port in ports:
            eventually(lambda port=port: _knows_all(port, count, tls), despite=redis.RedisError)
        yield Watched([primary, replica], ports, tls)


@contextmanager
def _sentinel(primary: int, quorum: int, tls: Tls | None) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="synapse-sentinel-") as folder:
        # A file that it rewrites: it remembers there what it has seen.
        file = Path(folder) / "sentinel.conf"
        of_tls = "".join(f"{name} {text}\n" for name, text in (tls.settings if tls else {}).items())
        file.write_text(f"""
{"tls-port" if tls else "port"} {port}
{of_tls}bind 127.0.0.1
requirepass {SENTINELS_PASSWORD}
sentinel sentinel-pass {SENTINELS_PASSWORD}
sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}
sentinel auth-pass {SERVICE} {PASSWORD}
sentinel down-after-milliseconds {SERVICE} {LATE_AFTER}
sentinel failover-timeout {SERVICE} 4000
""")
        words = [tls.program if tls else ANOTHER or str(find_server()), str(file), "--sentinel"]
        process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield port
        finally:
            process.kill()
            process.wait()


def _client_of(port: int, tls: Tls | None) -> redis.Redis:
    over_tls = {"ssl": True, **tls.of_client} if tls else {}
    return redis.Redis(host="127.0.0.1", port=port, password=SENTINELS_PASSWORD, **over_tls)


def _knows_all(port: int, count: int, tls: Tls | None) -> bool:
    with _client_of(port, tls) as sentinel:
        known = sentinel.sentinel_master(SERVICE)
        return known["num-slaves"] == 1 and known["num-other-sentinels"] == count - 1


def _replica_of(primary: Valkey) -> tuple[str, ...]:
    return "--replicaof", f"127.0.0.1 {primary.port}"


def _has_replica(primary: Valkey) -> bool:
    with primary.client() as client:
        told = client.info("replication")
    return told["connected_slaves"] == 1 and told["slave0"]["state"] == "online"
