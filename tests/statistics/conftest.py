"""Fixtures of the statistics tests: a sampler whose clock the test moves, and queries of its history."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import redis as redis_py

from streams import connections
from synapse.redis import keyspace
from synapse.statistics import history
from synapse.statistics.rows import Rows, Span
from synapse.statistics.sampler import Sampler
from synapse.statistics.series import BY_NAME, select
from synapse.statistics.storage import RESOLUTIONS

# A moment at which a block of each resolution begins, long after the clock of the server: nothing expires.
START = 54_000 * 100_000


@dataclass
class Scene:
    """Streams whose figures a test writes as the project does, and a sampler with a clock of its own."""

    redis: redis_py.Redis
    streams: list[str] = field(default_factory=lambda: ["orders"])
    now: float = START

    def __post_init__(self) -> None:
        self.sampler = self.another_sampler()

    def another_sampler(self) -> Sampler:
        return Sampler(connections.executor, lambda: self.streams, clock=lambda: self.now)

    def sample(self, rounds: int = 1, *, seconds: float = 5) -> None:
        """Take samples, and let time pass after each."""
        for _ in range(rounds):
            assert self.sampler.step()
            self.now += seconds

    def publish(self, count: int = 1, stream: str = "orders") -> None:
        with self.redis.pipeline() as pipe:
            for _ in range(count):
                pipe.xadd(stream, {"event_type": "order-placed"})
            pipe.hincrby(keyspace.stats(stream), "published", count)
            pipe.execute()

    def count(self, what: str, by: int = 1, stream: str = "orders") -> None:
        self.redis.hincrby(keyspace.stats(stream), what, by)

    def rows(self, *names: str, seconds: int = 5, steps: int, stream: str = "orders") -> Rows:
        """Return the series of the last steps before now."""
        resolution = next(one for one in RESOLUTIONS if one.seconds == seconds)
        last = int(self.now) // seconds - 1
        span = Span(resolution=resolution, first=last - steps + 1, last=last)
        wanted = select(*(BY_NAME[name] for name in names))
        asked = history.read_history([stream], span, wanted, now=int(self.now))
        return connections.executor().run(asked).streams[stream]

    def row(self, name: str, *, seconds: int = 5, steps: int, stream: str = "orders", group: str = "") -> list:
        found = [
            row
            for key, row in self.rows(name, seconds=seconds, steps=steps, stream=stream).items()
            if key.group == group
        ]
        return found[0] if found else [None] * steps


@pytest.fixture
def scene(redis: redis_py.Redis) -> Scene:
    return Scene(redis)


@pytest.fixture
def make_scene(redis: redis_py.Redis) -> Callable[..., Scene]:
    return lambda **more: Scene(redis, **more)
