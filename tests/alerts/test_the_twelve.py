"""Each rule that is on from the start: its alert fires within half a minute of its time, once, and is resolved."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from synapse.alerts.rules import DEFAULT_RULES
from synapse.alerts.state import CLEAR_SECONDS
from synapse.auth.key_rights import KeyRights
from synapse.catalog.stream_definitions import KeyDefinition
from synapse.delivery.status import Status
from tests.alerts.conftest import SHOP, Stage, only

RUNNING = Status(state="running", since=0)
GROUP = "group:orders/shop"


def nothing(_: Stage) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """How an alert is provoked, kept up while time passes, and ended."""

    subject: str
    begin: Callable[[Stage], None]
    end: Callable[[Stage], None]
    sentence: str
    keep: Callable[[Stage], None] = nothing
    # How long the condition takes to be gone, beside the time until an alert is resolved.
    fades: float = 0


def behind(stage: Stage) -> None:
    stage.publish(ago=310)


def read_all(stage: Stage) -> None:
    found = stage.redis.xreadgroup("shop", "c", {"orders": ">"})
    stage.redis.xack("orders", "shop", *(id_ for _, rows in found for id_, _ in rows))


def in_flight(stage: Stage) -> None:
    stage.publish(ago=3_700)
    stage.redis.xreadgroup("shop", "c", {"orders": ">"})


def acknowledge(stage: Stage) -> None:
    pending = stage.redis.xpending_range("orders", "shop", "-", "+", 10)
    stage.redis.xack("orders", "shop", *(row["message_id"] for row in pending))


def refuse(stage: Stage) -> None:
    stage.count("refused:contract-violated", 2)
    stage.count("published", 8)


def fail(stage: Stage) -> None:
    stage.count("retried", 2, group="shop")
    stage.count("failed:http-5xx", 2, group="shop")


def fill(stage: Stage) -> None:
    stage.publish(94)


def empty(stage: Stage) -> None:
    stage.redis.xtrim("orders", maxlen=10, approximate=False)


def limit_memory(stage: Stage) -> None:
    stage.redis.config_set("maxmemory", int(stage.redis.info("memory")["used_memory"] * 1.05))


def lift_memory(stage: Stage) -> None:
    stage.redis.config_set("maxmemory", 0)


def keep_no_file(stage: Stage) -> None:
    stage.redis.config_set("appendonly", "no")


def keep_a_file(stage: Stage) -> None:
    stage.redis.config_set("appendonly", "yes")


def with_key(expires_in: float) -> Callable[[Stage], None]:
    def set_key(stage: Stage) -> None:
        key = KeyDefinition(
            id="k1", service="billing", digest=b"", expires=stage.now + expires_in, rights=KeyRights([], [])
        )
        catalog = replace(stage.definitions.catalog, keys_by_id={"k1": key})
        stage.definitions = replace(stage.definitions, catalog=catalog)

    return set_key


# What a receiver says may be of the event, and is not for everybody who is told of an alert.
GONE = "The receiver wants no more events: The receiver answered: 410 after 3 ms, “Jane Doe is no customer any more”"


def with_bridge(**changes: object) -> Callable[[Stage], None]:
    def set_bridge(stage: Stage) -> None:
        disabled = {} if changes.get("enabled", True) else {SHOP.name: GONE}
        stage.set(bridges={SHOP.name: replace(SHOP, **changes)}, disabled=disabled)

    return set_bridge


CASES = {
    "group-behind": Case(GROUP, behind, read_all, "bridge orders-to-shop is behind: its oldest unread event is"),
    "dead-letters": Case(
        GROUP,
        lambda stage: stage.bury(126),
        lambda stage: stage.redis.delete("syn:{orders}:dlq:shop"),
        "bridge orders-to-shop fails: 126 dead letters since 00:00, HTTP 503",
    ),
    "events-unacknowledged": Case(
        GROUP, in_flight, acknowledge, "bridge orders-to-shop does not acknowledge: its oldest event in flight is 6"
    ),
    "events-refused": Case(
        "stream:orders",
        refuse,
        nothing,
        "stream orders refuses 20 % of its events since 00:00, contract-violated",
        keep=refuse,
        fades=300,
    ),
    "bridge-down": Case(
        GROUP,
        lambda stage: stage.redis.delete("syn:{orders}:run:shop"),
        nothing,
        "bridge orders-to-shop does not run since 00:00: no process runs it",
        keep=lambda stage: stage.redis.delete("syn:{orders}:run:shop"),
    ),
    "bridge-disabled": Case(
        GROUP, with_bridge(enabled=False), with_bridge(), "bridge orders-to-shop disabled itself: HTTP 410"
    ),
    "delivery-failing": Case(
        GROUP,
        fail,
        nothing,
        "bridge orders-to-shop fails: 100 % of its attempts since 00:00, http-5xx",
        keep=fail,
        fades=300,
    ),
    "events-lost": Case(
        GROUP,
        lambda stage: stage.count("lost_trimmed", 3, group="shop"),
        nothing,
        "bridge orders-to-shop lost 3 events, trimmed or deleted before they were acknowledged",
        fades=300,
    ),
    "stream-nearly-full": Case(
        "stream:orders", fill, empty, "stream orders is nearly full: it holds 95 % of the events that it can, 95 of 100"
    ),
    "redis-memory": Case("redis", limit_memory, lift_memory, "Redis is nearly full: it uses 9", keep=limit_memory),
    "redis-persistence": Case(
        "redis", keep_no_file, keep_a_file, "Redis may lose events (1 finding): Redis keeps no append-only file"
    ),
    "key-expires": Case(
        "key:k1", with_key(86_400 * 6.5), with_key(86_400 * 300), "key k1 of billing expires in 6 days"
    ),
}


@pytest.fixture
def safe_redis(redis):
    """The server as an installation has it, and as it was before afterwards."""
    before = {name: redis.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory")}
    redis.config_set("appendonly", "yes")
    redis.config_set("appendfsync", "always")
    yield
    for name, text in before.items():
        redis.config_set(name, text)


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.name)
def test_the_alert_of_a_rule_fires_in_time_and_once_and_is_resolved(rule, stage, safe_redis):
    case, name = CASES[rule.name], f"{rule.name} {CASES[rule.name].subject}"
    others = [stage.another_evaluator(), stage.another_evaluator()]
    stage.set(rules=only(rule.name))
    stage.report(RUNNING)
    stage.turn(4)
    assert stage.changes == []

    case.begin(stage)
    began, fired = stage.now, None
    while fired is None and stage.now - began <= rule.for_seconds + 30:
        case.keep(stage)
        # One after the other is killed in the middle of its work: the next one continues with nothing in its memory.
        stage.redis.delete("syn:alerts")
        others.append(stage.evaluator)
        stage.evaluator = others.pop(0)
        stage.turn()
        if stage.changes:
            fired = stage.now

    assert stage.changes == [(name, "firing")]
    assert fired - began >= rule.for_seconds
    assert stage.history[0]["sentence"].startswith(case.sentence)

    case.end(stage)
    stage.report(RUNNING)
    stage.seconds(case.fades + CLEAR_SECONDS + 30)

    assert stage.changes == [(name, "firing"), (name, "resolved")]
    assert [event["state"] for event in stage.events("alert-changed")] == ["firing", "resolved"]
    assert [event["state"] for event in stage.events("alert-notification")] == ["firing", "resolved"]
    assert stage.states() == {}
