"""Fixtures of the retention tests: a janitor that does whole turns, and a stream to arrange and inspect."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
import redis as redis_py

from streams import connections
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import keyspace
from synapse.retention.janitor import Janitor

HOUR_MS = 3_600_000


@dataclass
class Scene:
    """The stream `orders` with entries 1-0, 2-0, …, arranged and looked at without the code under test."""

    redis: redis_py.Redis
    stream: str = "orders"

    def publish(self, *numbers: int) -> None:
        """Append an entry for each number: its id is `number-0`."""
        with self.redis.pipeline() as pipe:
            for number in numbers:
                pipe.xadd(self.stream, {"event_type": "order-placed", "n": number}, id=f"{number}-0")
            pipe.execute()

    def group(self, name: str | bytes, at: str = "0") -> None:
        self.redis.xgroup_create(self.stream, name, at, mkstream=True)

    def read(self, group: str, count: int) -> None:
        """Let the group's consumer take the next entries; they stay pending."""
        self.redis.xreadgroup(group, "reader", {self.stream: ">"}, count=count)

    def settle(self, group: str, *numbers: int) -> None:
        self.redis.xack(self.stream, group, *(f"{number}-0" for number in numbers))

    def silent(self, group: str, *, hours: float) -> None:
        """Remember the group as it is now, as if it had been so for hours."""
        info = next(row for row in self.redis.xinfo_groups(self.stream) if row["name"] == group.encode())
        since = self.now() - int(hours * HOUR_MS)
        row = f"{since} {info['pending']} {info['last-delivered-id'].decode()}"
        self.redis.hset(keyspace.pins(self.stream), group, row)

    def now(self) -> int:
        """Return the server's time in milliseconds."""
        seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    @property
    def kept(self) -> list[int]:
        """The numbers of the entries that the stream holds."""
        return [int(entry_id.partition(b"-")[0]) for entry_id, _ in self.redis.xrange(self.stream)]

    @property
    def trimmed(self) -> int:
        return int(self.redis.hget(keyspace.stats(self.stream), "trimmed") or 0)

    def lost(self, group: str, field: str = "lost_trimmed") -> int:
        return int(self.redis.hget(keyspace.counters(self.stream, group), field) or 0)


def _begun(names: Mapping[str, str] | Iterable[str]) -> Mapping[str, str]:
    """Return groups with where each begins: at the beginning, unless the test says otherwise."""
    return names if isinstance(names, Mapping) else dict.fromkeys(names, "0")


@pytest.fixture
def orders(redis: redis_py.Redis) -> Scene:
    return Scene(redis)


@pytest.fixture
def make_janitor(redis: redis_py.Redis) -> Callable[..., Janitor]:
    """Make a janitor of streams: `make_janitor(definition, …, durable={"orders": {"billing"}}, room=10)`."""

    def make(
        *streams: StreamDefinition,
        durable: Mapping[str, Iterable[str]] | None = None,
        budget: float = 10.0,
        **options: object,
    ) -> Janitor:
        groups = {stream: _begun(names) for stream, names in (durable or {}).items()}
        return Janitor(
            connections.executor,
            lambda: {stream.name: stream for stream in streams},
            lambda: groups,
            budget=budget,
            **options,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def sweep(
    make_janitor: Callable[..., Janitor], redis: redis_py.Redis, caplog: pytest.LogCaptureFixture
) -> Callable[..., None]:
    """Let a janitor do one whole turn on `orders` with these limits: `sweep(max_length=10, durable={"billing"})`."""

    def sweep(
        *, durable: Iterable[str] = (), pin_for: timedelta = timedelta(hours=24), room: int = 1000, **limits: object
    ) -> None:
        stream = StreamDefinition(name="orders", **limits)  # type: ignore[arg-type]
        janitor = make_janitor(stream, durable={"orders": durable}, pin_for=pin_for, room=room)
        assert janitor.step()
        assert "cannot be trimmed" not in caplog.text
        redis.delete(keyspace.JANITOR_LEASE)

    return sweep
