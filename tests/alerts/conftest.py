"""Fixtures of the tests of alerts: a sampler and evaluators with a clock that the test moves, over a real Valkey."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import redis as redis_py

from streams import connections
from streams.snapshot import holder
from synapse.alerts.definitions import Definitions
from synapse.alerts.evaluator import Evaluator
from synapse.alerts.rules import DEFAULT_RULES, Rule
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.status import Status, pack
from synapse.redis import keyspace
from synapse.redis.commands import participants
from synapse.statistics.sampler import Sampler

# Long after the clock of the server: nothing expires.
START = 54_000 * 100_000
SHOP = BridgeDefinition(name="orders-to-shop", stream="orders", group="shop", sink="webhook")
CHANGES, STATES = keyspace.alerts("changes"), keyspace.alerts("states")


def only(*names: str, **changes: Any) -> list[Rule]:
    """Return these of the rules that are on from the start."""
    return [replace(rule, **changes) for rule in DEFAULT_RULES if rule.name in names]


@dataclass
class Stage:
    """Streams and groups whose figures a test writes as the project does, a sampler, and one or more evaluators."""

    redis: redis_py.Redis
    now: float = START
    definitions: Definitions = field(default_factory=lambda: Definitions(catalog=holder.current()))

    def __post_init__(self) -> None:
        self.sampler = Sampler(connections.executor, lambda: self.definitions.catalog.streams, clock=lambda: self.now)
        self.evaluator = self.another_evaluator()

    def another_evaluator(self) -> Evaluator:
        return Evaluator(
            connections.executor,
            lambda: self.definitions,
            lambda condition, subject: f"/admin/{condition}/{subject.id}",
            clock=lambda: self.now,
        )

    def set(self, **changes: Any) -> None:
        """Change the definitions; the catalog is read again."""
        self.definitions = replace(self.definitions, catalog=holder.current(), **changes)

    def turn(self, rounds: int = 1, *, sampled: bool = True) -> None:
        """Let five seconds pass, with a sample and a step of the evaluator, so many times."""
        for _ in range(rounds):
            self.now += 5
            if sampled:
                assert self.sampler.step()
            assert self.evaluator.step()

    def seconds(self, seconds: float) -> None:
        """Let so many seconds pass, with a sample and a step every five."""
        self.turn(int(seconds // 5))

    def publish(self, count: int = 1, stream: str = "orders", *, ago: float = 0) -> None:
        with self.redis.pipeline() as pipe:
            for _ in range(count):
                pipe.xadd(stream, {"event_type": "order-placed"}, id=f"{int((self.now - ago) * 1000)}-*")
            pipe.hincrby(keyspace.stats(stream), "published", count)
            pipe.execute()

    def group(self, name: str = "shop", stream: str = "orders", *, at: str = "$") -> None:
        self.redis.xgroup_create(stream, name, id=at, mkstream=True)

    def count(self, what: str, by: int = 1, *, stream: str = "orders", group: str = "") -> None:
        """Add to a counter of a stream or group, as publishing and delivery do."""
        self.redis.hincrby(keyspace.counters(stream, group) if group else keyspace.stats(stream), what, by)

    def bury(self, count: int = 1, *, error: str = "https://shop.example answered 503", group: str = "shop") -> None:
        letters = keyspace.dead_letters("orders", group)
        with self.redis.pipeline() as pipe:
            for _ in range(count):
                pipe.xadd(letters, {"id": "1-1", "err": error, "att": 10, "first": 1, "last": 1, "body": ""})
            pipe.execute()

    def report(self, status: Status, bridge: BridgeDefinition = SHOP) -> None:
        """Report as a process that runs a bridge."""
        said = participants.report(bridge.stream, bridge.group, "host:1:00000000", pack(status), keep_ms=60_000)
        connections.executor().execute([said])

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The changes of the history: the name of the alert, and its state."""
        return [(alert["alert"], alert["state"]) for alert in self.history]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(fields[b"change"]) for _, fields in self.redis.xrange(CHANGES)]

    def states(self) -> dict[str, str]:
        """The phases of the alerts that are not ok, by name."""
        return {name.decode(): json.loads(text)["phase"] for name, text in self.redis.hgetall(STATES).items()}

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """The events of the stream of alerts."""
        rows = self.redis.xrange("synapse-alerts")
        texts = ({name.decode(): text.decode() for name, text in fields.items()} for _, fields in rows)
        return [row for row in texts if row["event_type"] == event_type]


@pytest.fixture
def stage(define: Callable[..., object], redis: redis_py.Redis) -> Stage:
    """A stream with a group that a bridge reads as, and the stream of alerts."""
    define("orders", {"order-placed": None}, hard_length=100)
    define("synapse-alerts", {"alert-changed": None, "alert-notification": None})
    found = Stage(redis)
    found.set(bridges={SHOP.name: SHOP})
    found.publish(ago=10_000)
    found.group()
    return found
