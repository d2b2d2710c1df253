"""Alerts as JSON for the API, and as events of the stream of alerts."""

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

CHANGED, NOTIFICATION = ALERT_CHANGED, ALERT_NOTIFICATION
# A notification lists this many alerts, and counts the others.
MOST_LISTED = 20
_SOURCE = "synapse"
# Returns the URL of the page where the cause is fixed, for the name of a condition and its subject.
LinkOf = Callable[[str, Subject], str]


def alert_name(rule: str, subject_id: str) -> str:
    """Return the name of an alert, which is the same while the alert fires and when it is resolved."""
    return f"{rule} {subject_id}" if subject_id else rule


def alert_json(
    rule: Rule,
    subject: Subject,
    state: AlertState,
    definitions: Definitions,
    link_of: LinkOf,
    *,
    now: float,
    phase: str = "",
) -> dict[str, Any]:
    """Return an alert as a JSON value.

    Args:
        rule: the rule of the alert.
        subject: the thing that the alert is about.
        state: the state of the alert.
        definitions: the source of the subject's owner, runbook and labels.
        link_of: returns the URL of the page where the cause is fixed.
        now: the time, in seconds since 1970.
        phase: the phase to report, "" for the phase of `state`.
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
        "link": link_of(rule.condition, subject),
    }


def change_event(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that reports a change of an alert."""
    return {"event_type": CHANGED, "dedupe_key": f"{alert['alert']} {alert['state']} {alert['at']}", **alert}


# The fields that a notification takes from its first alert, and the fields that it has of each alert.
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


def read_record(record: bytes) -> dict[str, Any] | None:
    """Return an alert from a record of the history, with the member `silenced`; None for a record in another format."""
    try:
        alert = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    return alert if isinstance(alert, dict) and {"alert", "rule", "state", "silenced"} <= alert.keys() else None


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


# The contracts of the events, by event type. Later releases may add properties.
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
