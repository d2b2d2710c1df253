"""Alerts as JSON for the API, as events of the stream of alerts, and the notifications of people.

People are notified of a rule's alerts once a minute at most: of its first change at once, and of all that follow within
the minute together at its end. Changes are read from the history, and Redis stores for each rule the last one that
people were notified of. So each notification is sent once, whichever process sends it, and none is lost when a process
dies.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from synapse.alerts.definitions import Definitions
from synapse.alerts.rules import CONDITIONS, Rule
from synapse.alerts.state import AlertState
from synapse.alerts.subject import Subject
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.formats.text import ALERT_CHANGED, ALERT_NOTIFICATION, plural
from synapse.problems import Problem
from synapse.publishing import validation
from synapse.publishing.validation import Accepted
from synapse.redis import Command, Conversation, ReplyError, ask
from synapse.redis.commands import alerts as commands
from synapse.wire.ids import EntryId, parse

CHANGED, NOTIFICATION = ALERT_CHANGED, ALERT_NOTIFICATION
# A notification lists this many alerts, and counts the others.
MOST_LISTED = 20
_SOURCE = "synapse"
# Returns the URL of the page where the cause is fixed, for the name of a condition and its subject.
Link = Callable[[str, Subject], str]


def alert_name(rule: str, subject_id: str) -> str:
    """Return the name of an alert: the same while it fires and when it is resolved."""
    return f"{rule} {subject_id}" if subject_id else rule


def alert_json(
    rule: Rule,
    subject: Subject,
    state: AlertState,
    definitions: Definitions,
    link: Link,
    *,
    now: float,
    phase: str = "",
) -> dict[str, Any]:
    """Return an alert as a JSON value.

    Args:
        rule: its rule.
        subject: the thing that it is about.
        state: its state.
        definitions: source of the subject's owner, runbook and labels.
        link: returns the URL of the page where the cause is fixed.
        now: the time, in seconds since 1970.
        phase: the phase to report, "" for that of the state.
    """
    condition = CONDITIONS.get(rule.condition)
    phase = phase or state.phase
    bridge = definitions.watched_bridges.get((subject.stream, subject.name)) if subject.kind == "group" else None
    owners = [each for each in (bridge, definitions.streams.get(subject.stream)) if each is not None]
    labels: dict[str, str] = {}
    for each in reversed(owners):
        labels |= each.labels
    return {
        "alert": alert_name(rule.name, subject.id),
        "rule": rule.name,
        "condition": rule.condition,
        "description": rule.description,
        "severity": rule.severity,
        "state": phase,
        "since": iso_time(state.since),
        "at": iso_time(now),
        "subject": subject.text,
        **subject.parts,
        "value": round(state.value, 3),
        "unit": condition.unit if condition else "",
        "threshold": rule.threshold,
        "sentence": f"resolved: {state.said}" if phase == "resolved" else state.said,
        "owner": next((each.owner for each in owners if each.owner), ""),
        "runbook": rule.runbook or next((each.runbook for each in owners if each.runbook), ""),
        "labels": {**labels, **rule.labels},
        "link": link(rule.condition, subject),
    }


def change_event(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that reports a change of an alert."""
    return {"event_type": CHANGED, "dedupe_key": f"{alert['alert']} {alert['state']} {alert['at']}", **alert}


# The fields that a notification takes from its first alert, and those that it has of each alert.
_SHARED = (
    *("subject", "severity", "state", "since", "at", "value", "unit", "description"),
    *("owner", "runbook", "labels", "link"),
)
_LISTED = ("alert", "state", "since", "subject", "value", "unit", "sentence", "owner", "runbook", "labels", "link")


def notification_event(rule: str, id_: str, alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the event that notifies people of a rule's alerts, with the latest change of each.

    Args:
        rule: the rule's name.
        id_: the id of the latest change, which makes the event's idempotency key unique.
        alerts: the changes (`alert_json`), at least one.
    """
    firing = [alert for alert in alerts if alert["state"] == "firing"]
    first = (firing or alerts)[0]
    listed = sorted(alerts, key=lambda alert: alert["state"] != "firing")[:MOST_LISTED]
    return {
        "event_type": NOTIFICATION,
        "dedupe_key": f"{rule} {id_}",
        "rule": rule,
        "alert": first["alert"],
        "sentence": first["sentence"] if len(alerts) == 1 else _summary(rule, len(firing), listed, len(alerts)),
        **{name: first[name] for name in _SHARED},
        "alerts": [{name: alert[name] for name in _LISTED} for alert in listed],
        "more": len(alerts) - len(listed),
    }


def _summary(rule: str, firing: int, listed: Sequence[Mapping[str, Any]], all_: int) -> str:
    resolved = all_ - firing
    counts = [f"{firing} {plural('alert', firing)} firing"] if firing else []
    counts += [f"{resolved} resolved"] if resolved else []
    more = f" and {all_ - len(listed):,} more" if all_ > len(listed) else ""
    return f"{rule}: {', '.join(counts)}: {', '.join(alert['subject'] for alert in listed)}{more}"


def entry_of(event: dict[str, Any], stream: StreamDefinition) -> list[str]:
    """Return an event as an entry of the stream of alerts: names and values in turn."""
    try:
        accepted = validation.check(stream, event, length=len(orjson.dumps(event)))
    except Problem:
        accepted = None
    if not isinstance(accepted, Accepted):
        # Somebody changed the contract of the stream of alerts. The alert is reported nevertheless, as an unchecked
        # event.
        accepted = Accepted(event, event["event_type"], None, (), registered=False)
    return validation.encode(stream, accepted, now=lambda: str(event["at"]), source=_SOURCE)


def iso_time(at: float) -> str:
    """Return a time (seconds since 1970) in ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _text_properties(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}


_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
_STATE = {"enum": ["firing", "resolved"]}
_TIME = {"type": "string", "format": "date-time"}
_OF_ALERT: dict[str, Any] = {
    **_text_properties("alert", "subject", "unit", "sentence", "owner", "runbook", "link"),
    "state": _STATE,
    "since": _TIME,
    "value": {"type": "number"},
    "labels": _LABELS,
}
_OF_BOTH = {
    **_OF_ALERT,
    **_text_properties("dedupe_key", "rule", "description"),
    "severity": {"enum": ["warning", "critical"]},
    "at": _TIME,
}


def _contract(event_type: str, properties: Mapping[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"event_type": {"const": event_type}, **properties},
        "required": ["event_type", *(name for name in properties if name not in optional)],
    }


# The contracts of the events, by event type. They may gain properties.
CONTRACTS: Mapping[str, dict[str, Any]] = {
    CHANGED: _contract(
        CHANGED,
        {
            **_OF_BOTH,
            **_text_properties("condition", "stream", "group", "bridge", "key", "service"),
            "threshold": {"type": "number"},
        },
        optional=("stream", "group", "bridge", "key", "service"),
    ),
    NOTIFICATION: _contract(
        NOTIFICATION,
        {
            **_OF_BOTH,
            "alerts": {
                "type": "array",
                "maxItems": MOST_LISTED,
                "items": {"type": "object", "properties": _OF_ALERT, "required": list(_OF_ALERT)},
            },
            "more": {"type": "integer", "minimum": 0},
        },
    ),
}


# Seconds from one notification of a rule to the next.
INTERVAL = 60
_PAGE = 1_000


class Notifier:
    """Reads the history of changes, and notifies people of those that were not silenced."""

    def __init__(self) -> None:
        self._read_to = "0-0"
        # By rule and alert: the latest change that people were not notified of, and its id.
        self._waiting: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {}

    def step(self, stream: StreamDefinition | None, now: float) -> Conversation[int]:
        """Send the notifications that are due. Return their number.

        Args:
            stream: the stream of alerts, None when it is not defined: then these notifications are never sent.
            now: the time, in seconds since 1970.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        yield from self._read_history()
        if not self._waiting:
            return 0
        (told,) = yield from ask([commands.last_notifications()])
        if isinstance(told, ReplyError):
            raise told
        asked = {
            rule: command for rule in self._waiting if (command := self._notification_command(rule, told, stream, now))
        }
        # Another process sent the notifications of rules without waiting changes.
        self._waiting = {rule: waiting for rule, waiting in self._waiting.items() if waiting}
        replies = (yield from ask(list(asked.values()))) if asked else []
        for rule, reply in zip(asked, replies, strict=True):
            if not isinstance(reply, ReplyError):
                del self._waiting[rule]
        return sum(reply is True for reply in replies)

    def _read_history(self) -> Conversation[None]:
        while True:
            (found,) = yield from ask([commands.changes_after(self._read_to, count=_PAGE)])
            if isinstance(found, ReplyError):
                raise found
            for change in found:
                self._read_to = change.id
                alert = read_record(change.record)
                if alert is not None and not alert["silenced"]:
                    self._waiting.setdefault(alert["rule"], {})[alert["alert"]] = change.id, alert
            if len(found) < _PAGE:
                return

    def _notification_command(
        self, rule: str, told: Mapping[str, bytes], stream: StreamDefinition | None, now: float
    ) -> Command | None:
        """Return the command that sends the notification of a rule, None when none is due."""
        before = told.get(rule, b"")
        at, last = _parse_notified(before)
        waiting = {name: each for name, each in self._waiting[rule].items() if parse(each[0]) > last}
        self._waiting[rule] = waiting
        if not waiting or 0 <= now - at < INTERVAL:
            return None
        id_ = max((id_ for id_, _ in waiting.values()), key=parse)
        event = notification_event(rule, id_, [alert for _, alert in waiting.values()])
        after = f"{now:.3f} {id_}".encode()
        if stream is None:
            return commands.notify(rule, before, after, (), hard_length=0)
        return commands.notify(rule, before, after, entry_of(event, stream), hard_length=stream.hard_length)


def read_record(record: bytes) -> dict[str, Any] | None:
    """Return an alert from a record of the history, with `silenced`; None for a record in another format."""
    try:
        alert = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    return alert if isinstance(alert, dict) and {"alert", "rule", "state", "silenced"} <= alert.keys() else None


def _parse_notified(text: bytes) -> tuple[float, EntryId]:
    at, _, id_ = text.partition(b" ")
    try:
        return float(at), parse(id_.decode())
    except ValueError:
        return float("-inf"), EntryId(0, 0)
