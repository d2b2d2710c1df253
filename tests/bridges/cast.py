"""The cast: sinks that remember, consumers that died, and where each event of a group is."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis as redis_py

from synapse.delivery import membership
from synapse.delivery.retry import Policy
from synapse.delivery.sink import Delivery, MayBegin, OneByOne, Outcome, Sink
from synapse.delivery.worker import Worker
from synapse.errors.delivery import SinkError
from synapse.redis.commands import delivery as delivery_commands
from synapse.runtime.backoff import Backoff

STREAM, GROUP = "orders", "warehouse"
PLACE = (STREAM, GROUP)
DUE, COPIES, COUNTERS, LOCKS, DEAD = (
    f"syn:{{{STREAM}}}:{kind}:{GROUP}" for kind in ("due", "msg", "cnt", "lock", "dlq")
)
# An event that failed is due again at once.
AT_ONCE = Policy(backoff=Backoff(base=0, cap=0))
# It is tried once more, and then a dead letter.
TWICE = Policy(most_attempts=2, backoff=Backoff(base=0, cap=0))
# What else is noted beside them.
_NO_COUNTS = (b"made_by", b"place", b"last_done", b"began", b"doubt", b"logged")
# Counters that say what happened on the way, not where an event is.
_ON_THE_WAY = ("reaped", "retried", "expired", "replayed")


def always() -> bool:
    """Say that another event may be begun."""
    return True


class KeepingSink(OneByOne):
    """Keeps the events it gets; `refuses` decides which events fail."""

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
    """A worker, its sink, and the messages of the worker."""

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
    host, _, _ = membership.new_consumer_name().rpartition(":")[0].rpartition(":")
    return f"{host}:{process.pid}:0123abcd"


def read_and_die(redis: redis_py.Redis, consumer: str, count: int = 100) -> list[str]:
    """Read as a consumer does, and acknowledge nothing. Return the ids read."""
    rows = redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count)
    return [id_.decode() for id_, _ in rows[0][1]] if rows else []


def made_by_us(redis: redis_py.Redis) -> None:
    """Make the group as Synapse does."""
    redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    redis.hset(COUNTERS, mapping={"made_by": "an earlier run", "began": "0-0"})


def now_ms(redis: redis_py.Redis) -> int:
    """Return the server's time."""
    seconds, microseconds = redis.time()
    return int(seconds * 1000 + microseconds // 1000)


def pend(redis: redis_py.Redis, count: int, consumer: str = "reader") -> list[str]:
    """Let a consumer of our group read events and settle none."""
    made_by_us(redis)
    publish(redis, count)
    return read_and_die(redis, consumer, count=count)


def wait(redis: redis_py.Redis, send: Callable[..., Any], count: int) -> list[str]:
    """Let events wait, due at once."""
    ids = pend(redis, count)
    for _ in range(0, count, 100):
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100))
    return ids


def make_due(redis: redis_py.Redis) -> None:
    """Let all that waits be due now: the time until then has passed."""
    for id_ in redis.zrange(DUE, 0, -1):
        redis.zadd(DUE, {id_: 0})


def queued(redis: redis_py.Redis) -> list[str]:
    """Return the events that lie behind another of their key, in the order in which those of a key will come."""
    queues = sorted(redis.scan_iter(f"syn:{{{STREAM}}}:queue:*:{GROUP}"))
    return [id_.decode() for queue in queues for id_ in redis.lrange(queue, 0, -1)]


def parked(redis: redis_py.Redis) -> list[str]:
    """Return those of them that are in nobody's hand."""
    return [id_ for id_ in queued(redis) if redis.hexists(COPIES, f"{id_}:body") and redis.zscore(DUE, id_) is None]


def places(redis: redis_py.Redis) -> dict[str, int]:
    """Return how many events of the group are where: pending, waiting, parked, dead, done, lost.

    Those that wait or are parked have copies, and an event that has a key is one that holds it or waits for it.
    """
    waiting = {id_.decode() for id_ in redis.zrange(DUE, 0, -1)}
    behind, aside = queued(redis), set(parked(redis))
    copies = {name.decode().partition(":")[0] for name in redis.hkeys(COPIES) if name.endswith(b":body")}
    assert copies == waiting | aside, "a copy without its event, or an event without its copy"
    pending = {row["message_id"].decode() for row in redis.xpending_range(STREAM, GROUP, "-", "+", 10_000)}
    assert len(behind) == len(set(behind)), "an event queued twice"
    assert set(behind) <= aside | pending | waiting, "a queue holds an event that is gone"
    assert not pending & waiting | pending & aside | waiting & aside, "an event in two places"
    known = {name.decode().partition(":")[0] for name in redis.hkeys(COPIES)}
    assert known <= waiting | aside | pending, "something is known of an event that is gone"
    holders = {id_.decode() for id_ in redis.hvals(LOCKS)}
    assert holders <= pending | waiting, "a key is held by an event that is gone"
    assert not holders & set(behind), "an event has the turn and lies behind itself"
    counters = {
        name.decode(): int(n)
        for name, n in redis.hgetall(COUNTERS).items()
        # Failures are counted by kind beside.
        if name not in _NO_COUNTS and not name.startswith(b"failed:")
    }
    assert counters.get("parked", 0) == len(aside), "a wrong count of what is parked"
    found = {"pending": len(pending), "waiting": len(waiting), **counters}
    return {
        name: count
        for name, count in found.items()
        if count and name not in _ON_THE_WAY and not name.startswith("failed:")
    }
