"""Current alerts and their history, for the API and the admin.

Each function raises RedisFailure if Redis cannot be used:

- `count_firing()`       the number in the badge
- `list_alerts(rights)`  the firing alerts, and then the pending ones
- `list_changes(rights)` the latest changes, and the start of the next page
- `alerts.silences`      silences: `list_silences`, `create`, `end`
- `alerts.snapshot.holder.current().rules`  all rules, with the changes in the database applied

Each alert is a mapping: see `Alert` in `alerts/api/alerts.py`. `rights` are those of the caller, such as
`synapse.auth.permission.rights_of(user)`: alerts of streams that the caller may not see are left out.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from alerts.links import link_to
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

# After this many seconds without an evaluation, no evaluator is running.
STALE = 60
# The number of changes that are read at once. The caller may see only some of them.
_READ_AT_ONCE = 500


class CurrentAlerts(NamedTuple):
    """The alerts that are not ok.

    Attributes:
        alerts: firing ones, then pending ones, each with the latest first.
        evaluated_at: the time of the last evaluation of rules, in seconds since 1970; None if there was none.
    """

    alerts: list[dict[str, Any]]
    evaluated_at: float | None


class HistoryPage(NamedTuple):
    """Changes of alerts, the latest first, each with its `id`. `next` is the `before` of the next page, "" on the
    last.
    """

    changes: list[dict[str, Any]]
    next: str


def count_firing() -> int:
    """Return the number of firing alerts that are not silenced.

    Raises:
        RedisFailure: when Redis cannot be used, or another program's value is in the way.
    """
    texts, now = _query(commands.states())[0], time.time()
    definitions = holder.current()
    return sum(
        found.phase == "firing" and not definitions.is_silenced(rule, subject, now)
        for rule, subject, found in _iterate_alerts(texts, definitions)
    )


def list_alerts(rights: Rights, *, now: float) -> CurrentAlerts:
    """Return the firing and pending alerts that the caller may see.

    Raises:
        RedisFailure: when Redis cannot be used, or another program's value is in the way.
    """
    texts, evaluated = _query(commands.states(), commands.last_evaluation())
    definitions = holder.current()
    alerts: list[tuple[bool, float, dict[str, Any]]] = []
    for rule_name, subject, found in _iterate_alerts(texts, definitions):
        rule = definitions.rule(rule_name) or Rule(name=rule_name, condition="", threshold=0)
        alert = alert_json(rule, subject, found, definitions, link_to, now=now)
        if is_shown(alert, rights):
            alert["silenced"] = definitions.is_silenced(rule_name, subject, now)
            alerts.append((found.phase != "firing", -found.since, alert))
    alerts.sort(key=lambda each: each[:2])
    return CurrentAlerts([alert for _, _, alert in alerts], evaluated)


def list_changes(rights: Rights, *, count: int = 100, before: str = "") -> HistoryPage:
    """Return the latest changes of alerts that the caller may see.

    Args:
        rights: the rights of the caller.
        count: the most changes to return.
        before: `next` of the previous page; "" for the latest changes.

    Raises:
        BadParameter: when `before` is not an id.
        RedisFailure: when Redis cannot be used, or another program's value is in the way.
    """
    if before and not is_id(before):
        raise BadParameter("“before” is what the page before gave as its next.", parameter="before")
    changes: list[dict[str, Any]] = []
    at = before or "+"
    while len(changes) < count:
        (found,) = _query(commands.changes_before(at, count=_READ_AT_ONCE))
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


def _iterate_alerts(texts: Mapping[str, bytes], definitions: Definitions) -> Iterator[tuple[str, Subject, AlertState]]:
    """Yield the rule's name, the subject and the state of each alert. Unreadable states and unknown subjects are
    skipped.
    """
    for name, text in texts.items():
        rule, _, id_ = name.partition(" ")
        found = state.unpack(text)
        if found is not None and (subject := definitions.subject(id_, found.of)) is not None:
            yield rule, subject, found


def _query(*asked: Command) -> list[Any]:
    replies = connections.executor().execute(asked)
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise RedisRefused(f"Redis does not tell of alerts: {reply}.")
    return replies


def is_shown(alert: Mapping[str, Any], rights: Rights) -> bool:
    """Say whether a caller may see an alert. Alerts about keys require the right to issue keys."""
    if "key" in alert:
        return rights.has("keys:write")
    return "stream" not in alert or is_visible(rights, alert["stream"])
