"""The alerts that there are, and their history, as the API and the admin show them.

For the admin's pages; each function asks Redis once, and raises RedisFailure when it cannot be used:

- `count_firing()`   the number of the badge
- `current(rights)`  the alerts that are pending or fire, those that fire first
- `history(rights)`  the latest changes, and from where to read on
- `alerts.silences`  silences: `list_silences`, `create`, `end`
- `alerts.snapshot.holder.current().rules`  all rules, as rows changed them

Each alert is a mapping: see `Alert` in `alerts/api/alerts.py`. `rights` are those of the caller, such as
`synapse.auth.permission.rights_of(user)`: nobody sees an alert of a stream that they may not see.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from alerts.links import link
from alerts.snapshot import holder
from streams import connections
from synapse.alerts import state
from synapse.alerts.definitions import Definitions
from synapse.alerts.event import alert_json, read_record
from synapse.alerts.rules import Rule
from synapse.alerts.state import AlertState
from synapse.alerts.subject import Subject
from synapse.auth.permission import is_visible
from synapse.auth.principal import Rights
from synapse.dead_letters import is_id
from synapse.problems import BadParameter
from synapse.redis import Command, ReplyError
from synapse.redis.commands import alerts as commands
from synapse.redis.errors import RedisRefused

# Without a turn for this time, no evaluator is running. Seconds.
STALE = 60
# The number of changes that are read for a page, of which the caller may see some.
_READ_AT_ONCE = 500


class CurrentAlerts(NamedTuple):
    """The alerts that are not ok.

    Attributes:
        alerts: those that fire first, then those that are pending; within both the latest first.
        evaluated_at: when rules were last evaluated, in seconds since 1970; None: never.
    """

    alerts: list[dict[str, Any]]
    evaluated_at: float | None


class HistoryPage(NamedTuple):
    """Changes of alerts, the latest first, each with its `id`; `next` is `before` of the next page, "" at the end."""

    changes: list[dict[str, Any]]
    next: str


def count_firing() -> int:
    """Return how many alerts fire and are not silenced.

    Raises:
        RedisFailure: when Redis cannot be used, or another program's value is in the way.
    """
    texts, now = _ask(commands.states())[0], time.time()
    definitions = holder.current()
    return sum(
        found.phase == "firing" and not definitions.is_silenced(rule, subject, now)
        for rule, subject, found in _known(texts, definitions)
    )


def current(rights: Rights, *, now: float) -> CurrentAlerts:
    """Return the alerts that are pending or fire, of all that the caller may see.

    Raises:
        RedisFailure: when Redis cannot be used, or another program's value is in the way.
    """
    texts, evaluated = _ask(commands.states(), commands.last_evaluation())
    definitions = holder.current()
    alerts: list[tuple[bool, float, dict[str, Any]]] = []
    for rule_name, subject, found in _known(texts, definitions):
        rule = definitions.rule(rule_name) or Rule(name=rule_name, condition="", threshold=0)
        alert = alert_json(rule, subject, found, definitions, link, now=now)
        if is_shown(alert, rights):
            alert["silenced"] = definitions.is_silenced(rule_name, subject, now)
            alerts.append((found.phase != "firing", -found.since, alert))
    alerts.sort(key=lambda each: each[:2])
    return CurrentAlerts([alert for _, _, alert in alerts], evaluated)


def history(rights: Rights, *, count: int = 100, before: str = "") -> HistoryPage:
    """Return the latest changes of alerts that the caller may see.

    Args:
        rights: those of the caller.
        count: how many at most.
        before: `next` of the page before; "" for the latest.

    Raises:
        BadParameter: when `before` is no id.
        RedisFailure: when Redis cannot be used, or another program's value is in the way.
    """
    if before and not is_id(before):
        raise BadParameter("“before” is what the page before gave as its next.", parameter="before")
    changes: list[dict[str, Any]] = []
    at = before or "+"
    while len(changes) < count:
        (found,) = _ask(commands.changes_before(at, count=_READ_AT_ONCE))
        for change in found:
            at = change.id
            alert = read_record(change.record)
            if alert is not None and is_shown(alert, rights):
                changes.append({"id": change.id, **alert})
                if len(changes) == count:
                    break
        else:
            if len(found) < _READ_AT_ONCE:
                return HistoryPage(changes, "")
    return HistoryPage(changes, at)


def _known(texts: Mapping[str, bytes], definitions: Definitions) -> Iterator[tuple[str, Subject, AlertState]]:
    """Yield the rule's name, the subject and the state of each alert, and skip unreadable states and unknown
    subjects."""
    for name, text in texts.items():
        rule, _, id_ = name.partition(" ")
        found = state.unpack(text)
        if found is not None and (subject := definitions.subject(id_, found.of)) is not None:
            yield rule, subject, found


def _ask(*asked: Command) -> list[Any]:
    replies = connections.executor().execute(asked)
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise RedisRefused(f"Redis does not tell of alerts: {reply}.")
    return replies


def is_shown(alert: Mapping[str, Any], rights: Rights) -> bool:
    """Say whether a caller may see an alert: one of a key takes the right to issue keys."""
    if "key" in alert:
        return rights.has("keys:write")
    return "stream" not in alert or is_visible(rights, alert["stream"])
