"""Events as messages for people: an alert with all its details, any other event without its content."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synapse.delivery.sink import Delivery
from synapse.delivery.text_line import escape_unprintable
from synapse.formats.text import ALERT_CHANGED, ALERT_NOTIFICATION, ALERTS_STREAM, cut

Level = Literal["info", "success", "warning", "failure"]
_LEVELS: Mapping[str, Level] = {"critical": "failure", "warning": "warning"}
_RESOLVED = "resolved"
# The shortest limits of receivers: those of PagerDuty and Discord.
_LONGEST_KEY, _LONGEST_TITLE, _LONGEST_LINE, _LONGEST_BODY = 255, 200, 500, 1800
# Markup that mentions people in a chat, or hides a link behind a text. Apprise escapes none of it for Discord:
# @everyone, <@7>, <@&7>, [text](https://...).
_MARK = re.compile(r"@(?=everyone|here|channel)|<(?=[@#!]|at>)|\](?=\()", re.IGNORECASE)
_WORD_JOINER = "\N{WORD JOINER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for people.

    Attributes:
        title: one line.
        body: some lines of text.
        level: the severity of the message.
        key: identifies the incident, so that a pager can relate its messages.
        is_resolved: whether the incident is over.
        link: the URL of the page with details, "" without one.
    """

    title: str
    body: str
    key: str
    level: Level = "info"
    is_resolved: bool = False
    link: str = ""


def is_for_people(delivery: Delivery, *, is_selected: bool) -> bool:
    """Say whether an event is sent to people. Single changes of alerts are not, unless the bridge selects event types
    (`is_selected`): alert notifications report them.
    """
    return is_selected or delivery.stream != ALERTS_STREAM or delivery.event_type != ALERT_CHANGED


def messages_of(delivery: Delivery, *, one_each: bool) -> list[Message]:
    """Return the messages about an event: one, or for an alert notification and a pager one for each alert.

    Args:
        delivery: the event.
        one_each: whether the receiver is a pager, which opens an incident for each alert and closes it.
    """
    event = delivery.event
    # Only Synapse publishes to this stream. Events of these types on other streams are not alerts.
    if delivery.stream != ALERTS_STREAM or delivery.event_type not in (ALERT_CHANGED, ALERT_NOTIFICATION):
        return [_event_message(delivery)]
    if not _text_member(event, "sentence"):
        return [_event_message(delivery)]
    listed = event.get("alerts")
    alerts = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if one_each and alerts:
        return [_alert_message({**one, "severity": event.get("severity")}) for one in alerts]
    return [_alert_message(event, alerts)]


def _alert_message(alert: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]] = ()) -> Message:
    is_resolved = _text_member(alert, "state") == _RESOLVED
    sentence = _sentence_of(alert)
    # “bridge orders-to-shop fails: 126 dead letters since 02:14”
    subject = sentence.partition(": ")[0]
    labels = alert.get("labels")
    listed = ", ".join(f"{name}={text}" for name, text in labels.items()) if isinstance(labels, dict) else ""
    lines = [sentence]
    if len(alerts) > 1:
        lines += [f"- {_text_member(one, 'state')}: {_sentence_of(one)}" for one in alerts]
    lines += [
        f"{name}: {text}"
        for name, text in (
            ("Severity", _text_member(alert, "severity")),
            ("Since", _text_member(alert, "since")),
            ("Owner", _text_member(alert, "owner")),
            ("Runbook", _text_member(alert, "runbook")),
            ("Labels", listed),
            ("Open", _text_member(alert, "link")),
        )
        if text
    ]
    return Message(
        title=_clean_line(f"{_text_member(alert, 'state') or 'firing'}: {subject}", _LONGEST_TITLE),
        body=cut("\n".join(_clean_line(line, _LONGEST_LINE) for line in lines), _LONGEST_BODY),
        level="success" if is_resolved else _LEVELS.get(_text_member(alert, "severity"), "warning"),
        key=_key_of(_text_member(alert, "alert") or _text_member(alert, "dedupe_key") or sentence),
        is_resolved=is_resolved,
        link=link if (link := _text_member(alert, "link")).startswith(("https://", "http://")) else "",
    )


def _event_message(delivery: Delivery) -> Message:
    """Return the message about an event that is not an alert: its stream, type and id, without its content."""
    name = delivery.event_type or "An event without a type"
    return Message(
        title=_clean_line(f"{name} in {delivery.stream}", _LONGEST_TITLE),
        body=_clean_line(
            f"Event {delivery.id} of the stream {delivery.stream}, type: {delivery.event_type or 'none'}", 500
        ),
        key=_key_of(f"{delivery.stream} {delivery.id}"),
    )


def _text_member(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def _sentence_of(alert: Mapping[str, Any]) -> str:
    return _text_member(alert, "sentence").removeprefix(f"{_RESOLVED}: ")


def _clean_line(text: str, most: int) -> str:
    """Return a text as one line, without hidden characters and markup that mentions people."""
    return cut(_MARK.sub(lambda mark: mark[0] + _WORD_JOINER, escape_unprintable(" ".join(text.split()))), most)


def _key_of(text: str) -> str:
    """Return a text as a key: unchanged, or as its digest if it is too long or not printable ASCII."""
    if len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
