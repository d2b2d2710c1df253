"""The HTTP API for current alerts and their history."""

import time
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from alerts import current
from synapse.alerts.event import iso_time
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Call, Example, Query, QueryInt, Sentence, about, endpoint, maybe

MOST, USUAL = 1_000, 100
_ALERT = {
    "alert": "dead-letters group:orders/shop",
    "rule": "dead-letters",
    "condition": "dead_letters",
    "description": "Events were given up. Mend the cause, then redrive the dead letters, or discard them.",
    "severity": "warning",
    "state": "firing",
    "since": "2026-11-23T02:14:05Z",
    "at": "2026-11-23T02:20:11Z",
    "subject": "bridge orders-to-shop",
    "group": "shop",
    "stream": "orders",
    "bridge": "orders-to-shop",
    "value": 126,
    "unit": "dead letter",
    "threshold": 1,
    "sentence": "bridge orders-to-shop fails: 126 dead letters since 02:14, HTTP 503",
    "owner": "Team Shop",
    "runbook": "https://wiki.example.org/shop",
    "labels": {"team": "shop"},
    "link": "https://synapse.example.org/admin/bridges/bridge/dead-letters/4/shop/",
    "silenced": False,
}
_CHANGE = {"id": "1795400000000-0", **_ALERT}


class Alert(Answer):
    """An alert that is not ok."""

    alert: str = about("The alert's name, the same while it fires and when it is resolved.")
    rule: str
    condition: str = about("The condition of the rule; empty when the rule was deleted.")
    description: str = about("The rule's description, for people.")
    severity: Literal["warning", "critical"]
    state: Literal["pending", "firing"]
    since: str = about("When the condition began to hold.")
    at: str = about("The time of the answer; in the history, the time of the change.")
    subject: str = about("The bridge, group, stream, key or service, with its name.")
    stream: str = maybe()
    group: str = maybe()
    bridge: str = maybe("The bridge that reads as the group.")
    key: str = maybe("The id of a key.")
    service: str = maybe("The service of the key.")
    value: float = about("The value, at most 15 seconds old; when resolved, the last one that met the condition.")
    unit: str = about("The unit of `value` and `threshold`, such as seconds.")
    threshold: float
    sentence: str = about("The alert as a sentence for people.")
    owner: str = about("The owner of the bridge or stream; empty without one.")
    runbook: str = about("The runbook of the rule, bridge or stream; empty without one.")
    labels: dict[str, str] = about("The labels of the stream, the bridge and the rule together.")
    link: str = about("The page of the admin on which the cause can be mended.")
    silenced: bool = about("True when a silence keeps notifications of the alert back.")


class Alerts(Answer):
    """The alerts that are not ok."""

    alerts: list[Alert]
    evaluated_at: str | None = about("When rules were last evaluated; null when they never were.")


class AlertChange(Alert):
    """A change of an alert."""

    id: str
    state: Literal["firing", "resolved"]  # type: ignore[assignment]  # the history has no pending alerts


class AlertHistory(Answer):
    """Changes of alerts, the latest first."""

    changes: list[AlertChange]
    next: str | None = about("The value of `before` for the next page.")


class HistoryQuery(Query):
    """The parameters of a query for changes."""

    count: QueryInt = about("How many changes to list.", default=USUAL, ge=1, le=MOST)
    before: Annotated[
        str, Field(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$"), Sentence("“{name}” is what the page before gave as its next.")
    ] = about("The `next` of the previous page.", default="")


_alerts = partial(endpoint, tag="alerts", requires=Requirement(scope="metrics:read"), problems=[503])


@_alerts(
    "GET",
    "/alerts",
    "List alerts",
    Alerts,
    query=Query,
    examples=[Example("one alert", {"alerts": [_ALERT], "evaluated_at": "2026-11-23T02:20:10Z"}, 200)],
)
def list_alerts(call: Call[Query, None]) -> dict[str, Any]:
    """The alerts that fire, and pending alerts, whose condition does not hold for long enough yet. A key sees the
    alerts of streams that it may publish to or read from."""
    found = current.list_alerts(call.by.rights, now=time.time())
    at = found.evaluated_at
    return {"alerts": found.alerts, "evaluated_at": None if at is None else iso_time(at)}


@_alerts(
    "GET",
    "/alerts/history",
    "Show changes of alerts",
    AlertHistory,
    query=HistoryQuery,
    examples=[Example("a page", {"changes": [_CHANGE], "next": None}, 200)],
)
def list_alert_changes(call: Call[HistoryQuery, None]) -> dict[str, Any]:
    """The latest 10,000 changes are kept. For the next page, send the same query with `before` set to `next`."""
    found = current.list_changes(call.by.rights, count=call.query.count, before=call.query.before)
    return {"changes": found.changes, "next": found.next or None}
