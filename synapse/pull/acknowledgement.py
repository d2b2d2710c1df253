"""`POST /v1/ack`, `/v1/nack` and `/v1/extend`: acknowledge, release or keep events in flight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.retry import GiveUp, Policy, decide_retry
from synapse.errors.delivery import SinkError
from synapse.pull.protocol import GroupRef, PullAck, PullExtend, PullNack
from synapse.redis import Conversation, ReplyError, answer
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import Failure, Pending
from synapse.redis.commands.delivery_log import DoneLog

# The result when the group does not exist: no consumer holds an event.
NOTHING_ACKED: Mapping[str, int] = {"acked": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class _InFlight:
    """An event in flight.

    `token` is the token of its lease, "" for a pending event without a lease. `took_ms` is the time since its delivery,
    None when unknown.
    """

    id: str
    token: str
    attempt: int
    took_ms: int | None


def ack(asked: PullAck, *, logs: bool = False) -> Conversation[dict[str, Any]]:
    """Acknowledge events.

    `logs` adds them to the delivery log. A repeated acknowledgement changes nothing, and neither does a late one for an
    event that another consumer holds.
    """
    log = DoneLog() if logs else None
    (settled,) = yield [delivery_commands.done(asked.stream, asked.group, asked.ids, log=log)]
    return {"acked": _answer_or_absent(settled, asked)}


def nack(
    group: BridgeDefinition, asked: PullNack, chance: float, *, logs_reason: bool = True
) -> Conversation[dict[str, Any]]:
    """Release events: each is scheduled for retry, or becomes a dead letter.

    An event that is not in flight, or that a consumer other than `consumer` holds, is `not_held`. An event whose entry
    was trimmed is `lost`. `chance` is a random number from 0 to 1, as for `Backoff`. `logs_reason` is true when the
    reason holds no PII and may be in the delivery log.
    """
    hands = yield from _find_in_flight(asked)
    policy = Policy.from_definition(group)
    failures = [_failure_of(hand, asked, policy, chance, logs_reason=logs_reason) for hand in hands]
    fates: Sequence[str] = ()
    if failures:
        logs = group.delivery_log != "off"
        fail = delivery_commands.fail(group.stream, group.group, failures, consumer=asked.consumer, logs=logs)
        (reply,) = yield [fail]
        fates = _answer_or_absent(reply, asked)
    by_fate = {fate: [one.id for one, was in zip(failures, fates, strict=True) if was == fate] for fate in set(fates)}
    gone = {*by_fate.get("retry", ()), *by_fate.get("dead", ()), *by_fate.get("lost", ())}
    return {
        "nacked": len(by_fate.get("retry", ())) + len(by_fate.get("dead", ())),
        "dead": by_fate.get("dead", []),
        "lost": by_fate.get("lost", []),
        "not_held": [id_ for id_ in asked.ids if id_ not in gone],
    }


def extend(group: BridgeDefinition, asked: PullExtend) -> Conversation[dict[str, Any]]:
    """Extend the leases of events in flight. Events that are not in flight, or that another consumer holds, are
    `not_held`."""
    lease_ms = round(group.lease_seconds * 1000) if asked.lease_ms is None else asked.lease_ms
    (reply,) = yield [
        delivery_commands.extend(group.stream, group.group, asked.ids, lease_ms=lease_ms, consumer=asked.consumer)
    ]
    has = _answer_or_absent(reply, asked, absent=[False] * len(asked.ids))
    return {
        "extended": sum(has),
        "lease_ms": lease_ms,
        "not_held": [id_ for id_, held in zip(asked.ids, has, strict=True) if not held],
    }


def _find_in_flight(asked: PullNack) -> Conversation[list[_InFlight]]:
    leases, *pending = yield delivery_commands.find_holders(asked.stream, asked.group, asked.ids)
    found = [
        _in_flight_of(id_, lease, _answer_or_absent(row, asked, absent=None), asked.consumer)
        for id_, lease, row in zip(asked.ids, _answer_or_absent(leases, asked), pending, strict=True)
    ]
    return [hand for hand in found if hand is not None]


def _in_flight_of(id_: str, lease: tuple[str, int], pending: Pending | None, consumer: str) -> _InFlight | None:
    token, attempt = lease
    if pending is not None:
        holder, hand = pending.consumer, _InFlight(id=id_, token="", attempt=1, took_ms=pending.idle)
    else:
        _, named, holder = token.partition(" ")
        if not named:
            return None
        hand = _InFlight(id=id_, token=token, attempt=attempt, took_ms=None)
    return hand if consumer in ("", holder) else None


def _failure_of(hand: _InFlight, asked: PullNack, policy: Policy, chance: float, *, logs_reason: bool) -> Failure:
    reason = asked.reason or "refused by the consumer"
    next_ = decide_retry(policy, attempt=hand.attempt, error=SinkError(reason, permanent=asked.dead), chance=chance)
    delay_ms = 0 if isinstance(next_, GiveUp) else round(next_.after * 1000)
    return Failure(
        id=hand.id,
        token=hand.token,
        error=reason,
        took_ms=hand.took_ms,
        delay_ms=delay_ms if asked.delay_ms is None else asked.delay_ms,
        fatal=isinstance(next_, GiveUp),
        failure="nacked",
        told=reason if logs_reason else "",
    )


def _answer_or_absent(reply: Any, ref: GroupRef, *, absent: Any = 0) -> Any:
    """Return the value of a reply, or `absent` when the group does not exist and no consumer holds an event."""
    if isinstance(reply, ReplyError) and reply.code == "NOGROUP":
        return absent
    return answer(reply, ref.stream, absent=absent)
