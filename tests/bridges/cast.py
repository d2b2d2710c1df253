"""The cast: sinks that remember, consumers that died, and where each event of a group is."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis as redis_py

from bridges.delivery import Delivery
from bridges.errors import SinkError
from bridges.runtime import identity
from bridges.runtime.worker import Worker
from bridges.sinks.base import MayBegin, OneByOne, Outcome, Sink

STREAM, GROUP = "orders", "warehouse"
DUE, COPIES, COUNTERS = (f"syn:{{{STREAM}}}:{kind}:{GROUP}" for kind in ("due", "msg", "cnt"))


def always() -> bool:
    """Say that another event may be begun."""
    return True


class KeepingSink(OneByOne):
    """Keeps what it gets; `refuses` says of which events it does not."""

    def __init__(self, refuses: Callable[[Delivery], bool] = lambda _: False) -> None:
        self.got: list[Delivery] = []
        self.refuses = refuses

    def take(self, delivery: Delivery) -> None:
        if self.refuses(delivery):
            raise SinkError("not this one")
        self.got.append(delivery)

    @property
    def ids(self) -> list[str]:
        return [delivery.id for delivery in self.got]

    @property
    def attempts(self) -> list[int]:
        return [delivery.attempt for delivery in self.got]


class BrokenSink(Sink):
    """Takes nothing, and does not even say so."""

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        raise RuntimeError("broken")


@dataclass
class Bridge:
    """A worker, its sink, and what it said."""

    worker: Worker
    sink: KeepingSink
    said: list[str] = field(default_factory=list)

    def run_dry(self) -> "Bridge":
        """Step until there is nothing to do."""
        while self.worker.step():
            pass
        return self


def publish(redis: redis_py.Redis, count: int, **fields: Any) -> list[str]:
    """Append entries; return their ids."""
    with redis.pipeline() as pipe:
        for n in range(count):
            pipe.xadd(STREAM, {"event_type": "order-placed", "n": n, **fields})
        return [id_.decode() for id_ in pipe.execute()]


def name_of_the_dead() -> str:
    """Return the name of a consumer of this host whose process has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    host, _, _ = identity.fresh().rpartition(":")[0].rpartition(":")
    return f"{host}:{process.pid}:0123abcd"


def read_and_die(redis: redis_py.Redis, consumer: str, count: int = 100) -> list[str]:
    """Read as a consumer does, and settle nothing. Return what was read."""
    rows = redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count)
    return [id_.decode() for id_, _ in rows[0][1]] if rows else []


def made_by_us(redis: redis_py.Redis) -> None:
    """Make the group as Synapse does."""
    redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    redis.hset(COUNTERS, "made_by", "an earlier run")


def places(redis: redis_py.Redis) -> dict[str, int]:
    """Return how many events of the group are where: pending, waiting, done, lost; those that wait have copies."""
    waiting = {id_.decode() for id_ in redis.zrange(DUE, 0, -1)}
    copies = {name.decode().partition(":")[0] for name in redis.hkeys(COPIES)}
    assert copies == waiting, "a copy without its event, or an event without its copy"
    pending = {row["message_id"].decode() for row in redis.xpending_range(STREAM, GROUP, "-", "+", 10_000)}
    assert not pending & waiting, "an event in two places"
    counters = {name.decode(): int(n) for name, n in redis.hgetall(COUNTERS).items() if name != b"made_by"}
    found = {"pending": len(pending), "waiting": len(waiting), **counters}
    return {name: count for name, count in found.items() if count and name != "reaped"}
