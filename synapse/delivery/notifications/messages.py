"""Events as messages for people: an alert with all that is known of it, any other event without its content."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synapse.delivery.sink import Delivery
from synapse.delivery.text_line import harmless
from synapse.formats.text import ALERT_CHANGED, ALERT_NOTIFICATION, ALERTS_STREAM, cut

Level = Literal["info", "success", "warning", "failure"]
_LEVELS: Mapping[str, Level] = {"critical": "failure", "warning": "warning"}
_RESOLVED = "resolved"
# The shortest limits of receivers: those of PagerDuty and Discord.
_LONGEST_KEY, _LONGEST_TITLE, _LONGEST_LINE, _LONGEST_BODY = 255, 200, 500, 1800
# Marks that call people in a chat, or show an address as another text, anywhere in a message. Of Discord apprise
# escapes none: @everyone, <@7>, <@&7>, [text](https://...).
_MARK = re.compile(r"@(?=everyone|here|channel)|<(?=[@#!]|at>)|\](?=\()", re.IGNORECASE)
_WORD_JOINER = "\N{WORD JOINER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for people.

    Attributes:
        title: one line.
        body: some lines of text.
        level: how bad it is.
        key: by which a pager knows that two messages are of one incident.
        is_resolved: whether the incident is over.
        link: the address of the page where more is to be seen, "" without one.
    """

    title: str
    body: str
    key: str
    level: Level = "info"
    is_resolved: bool = False
    link: str = ""


def is_told(delivery: Delivery, *, is_selected: bool) -> bool:
    """Say whether people are told of an event. Each change of an alert is an event, and few of them a notification:
    unless they were asked for, people are told of the notifications alone."""
    return is_selected or delivery.stream != ALERTS_STREAM or delivery.event_type != ALERT_CHANGED


def messages_of(delivery: Delivery, *, one_each: bool) -> list[Message]:
    """Return the messages on an event: one, or for an alert notification one for each of its alerts.

    Args:
        delivery: the event.
        one_each: whether the receiver is a pager, which opens an incident for each alert and closes it.
    """
    event = delivery.event
    # Synapse alone publishes to this stream: no other event of such a type is an alert.
    if delivery.stream != ALERTS_STREAM or delivery.event_type not in (ALERT_CHANGED, ALERT_NOTIFICATION):
        return [_of_event(delivery)]
    if not _text(event, "sentence"):
        return [_of_event(delivery)]
    listed = event.get("alerts")
    alerts = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if one_each and alerts:
        return [_of_alert({**one, "severity": event.get("severity")}) for one in alerts]
    return [_of_alert(event, alerts)]


def _of_alert(alert: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]] = ()) -> Message:
    is_resolved = _text(alert, "state") == _RESOLVED
    sentence = _sentence(alert)
    # “bridge orders-to-shop fails: 126 dead letters since 02:14”
    subject = sentence.partition(": ")[0]
    labels = alert.get("labels")
    listed = ", ".join(f"{name}={text}" for name, text in labels.items()) if isinstance(labels, dict) else ""
    lines = [sentence]
    if len(alerts) > 1:
        lines += [f"- {_text(one, 'state')}: {_sentence(one)}" for one in alerts]
    lines += [
        f"{name}: {text}"
        for name, text in (
            ("Severity", _text(alert, "severity")),
            ("Since", _text(alert, "since")),
            ("Owner", _text(alert, "owner")),
            ("Runbook", _text(alert, "runbook")),
            ("Labels", listed),
            ("Open", _text(alert, "link")),
        )
        if text
    ]
    return Message(
        title=_line(f"{_text(alert, 'state') or 'firing'}: {subject}", _LONGEST_TITLE),
        body=cut("\n".join(_line(line, _LONGEST_LINE) for line in lines), _LONGEST_BODY),
        level="success" if is_resolved else _LEVELS.get(_text(alert, "severity"), "warning"),
        key=_key(_text(alert, "alert") or _text(alert, "dedupe_key") or sentence),
        is_resolved=is_resolved,
        link=link if (link := _text(alert, "link")).startswith(("https://", "http://")) else "",
    )


def _of_event(delivery: Delivery) -> Message:
    """Return the message on an event that is no alert: its stream and id, and none of its content."""
    name = delivery.event_type or "An event without a type"
    return Message(
        title=_line(f"{name} in {delivery.stream}", _LONGEST_TITLE),
        body=_line(f"Event {delivery.id} of the stream {delivery.stream}, type: {delivery.event_type or 'none'}", 500),
        key=_key(f"{delivery.stream} {delivery.id}"),
    )


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def _sentence(alert: Mapping[str, Any]) -> str:
    return _text(alert, "sentence").removeprefix(f"{_RESOLVED}: ")


def _line(text: str, most: int) -> str:
    """Return a text in one line, without hidden characters and without marks that call people."""
    return cut(_MARK.sub(lambda mark: mark[0] + _WORD_JOINER, harmless(" ".join(text.split()))), most)


def _key(text: str) -> str:
    """Return a text as a key: itself, or its digest where it is long or of another alphabet."""
    if len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
