"""The Redis of all contenders: the embedded Valkey with the configuration of `make run`, in a temporary folder."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from benchmarks.running.program import LOOPBACK, Program, free_port, running
from synapse.redis.embedded import endpoint as embedded_endpoint
from synapse.redis.embedded.endpoint import Endpoint
from synapse.redis.embedded.process import find_server


@dataclass(frozen=True, slots=True, kw_only=True)
class Valkey:
    """A running server, with a plain client, which returns bytes, to prepare and inspect it."""

    endpoint: Endpoint
    client: redis.Redis

    def fresh(self, *streams: str) -> None:
        """Drop the streams and rewrite the append-only file, so that every round begins in the same state."""
        self.client.unlink(*streams)
        self.client.bgrewriteaof()
        while self._persistence("aof_rewrite_in_progress") or self._persistence("aof_rewrite_scheduled"):
            time.sleep(0.02)

    def added(self, stream: str) -> int:
        """Return the number of entries added to a stream since it was dropped, including trimmed ones."""
        if not self.client.exists(stream):
            return 0
        return int(self.client.xinfo_stream(stream)["entries-added"])

    def last_fields(self, stream: str) -> list[bytes]:
        """Return the stored fields of the newest entry: names and values in turn."""
        found: Any = self.client.xrevrange(stream, count=1)
        return _parts(found[0])

    def entries(self, stream: str) -> list[list[bytes]]:
        """Return the stored fields of all entries: names and values in turn."""
        found: Any = self.client.xrange(stream)
        return [_parts(entry) for entry in found]

    def fill(self, stream: str, entries: Sequence[Sequence[bytes]]) -> None:
        """Append entries with these fields: names and values in turn."""
        pipeline = self.client.pipeline(transaction=False)
        for parts in entries:
            pipeline.execute_command("XADD", stream, "*", *parts)
        pipeline.execute()

    def memory(self, key: str) -> int:
        """Return the bytes that a key takes, counting all of its elements."""
        return int(self.client.memory_usage(key, samples=0) or 0)

    def _persistence(self, name: str) -> Any:
        return self.client.info("persistence")[name]


@contextmanager
def serving(folder: Path) -> Iterator[Valkey]:
    """Run the server during the block."""
    folder.mkdir()
    endpoint = Endpoint(port=free_port(), password=secrets.token_urlsafe(24))
    written = embedded_endpoint.write_configuration(folder, endpoint)
    # A rewrite of the append-only file in the middle of a round would slow the measured program, so `fresh` does it.
    options = ["--daemonize", "no", "--dir", str(folder), "--auto-aof-rewrite-percentage", "0"]
    client = redis.Redis(host=LOOPBACK, port=endpoint.port, password=endpoint.password, socket_timeout=30)

    def ready(_: Program) -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    with (
        running("valkey", [str(find_server()), str(written), *options], port=endpoint.port, folder=folder, ready=ready),
        client,
    ):
        yield Valkey(endpoint=endpoint, client=client)


def _parts(entry: tuple[bytes, dict[bytes, bytes]]) -> list[bytes]:
    return [part for pair in entry[1].items() for part in pair]
