"""`GET /alerts`, their history, and silences over HTTP: answers, rights and refusals, on both ways in."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from alerts import current
from alerts.api.alerts import AlertHistory, Alerts
from alerts.api.silences import Silence, Silences
from alerts.models import Silence as Row
from core.models import AuditEntry
from streams.snapshot import holder as catalog
from synapse.alerts.event import iso_time
from synapse.alerts.rules import Rule
from synapse.auth.principal import EVERYTHING
from synapse.redis import keyspace
from tests.alerts.conftest import only
from tests.both_ways import DjangoAlone
from tests.tables import for_each


@pytest.fixture
def alerted(stage, ask):
    """Dead letters of a bridge, of which an alert fires, and a rule that waits still."""
    stage.set(rules=[*only("dead-letters"), Rule(name="slow", condition="dead_letters", threshold=2, for_seconds=600)])
    stage.turn(2)
    stage.bury(2)
    stage.turn()
    return stage


@pytest.fixture
def django(stage):
    """Ask Django alone: a change of the other way in would wait for the transaction of the test."""
    return DjangoAlone()


@pytest.fixture
def as_service(settings, key_of):
    """Return the headers of a service with these rights."""
    settings.AUTH = "required"
    return lambda *scopes, **grants: {"Authorization": f"Bearer {key_of('watcher', scopes=scopes, **grants)}"}


def test_alerts_that_fire_come_before_those_that_are_pending(ask, alerted):
    answer = ask("GET", "/alerts")

    assert answer.status == 200, answer.body
    Alerts.model_validate(answer.json)
    assert [(each["rule"], each["state"]) for each in answer.json["alerts"]] == [
        ("dead-letters", "firing"),
        ("slow", "pending"),
    ]
    first = answer.json["alerts"][0]
    assert first["sentence"] == "bridge orders-to-shop fails: 2 dead letters since 00:00, HTTP 503"
    assert (first["value"], first["unit"], first["threshold"]) == (2, "dead letter", 1)
    assert answer.json["evaluated_at"] == iso_time(alerted.now)
    assert current.count_firing() == 1


@pytest.mark.parametrize(("subject", "count"), [("orders-to-shop", 0), ("*", 0), ("orders", 0), ("payments", 1)])
def test_an_alert_that_is_silenced_after_it_fired_is_not_counted_in_the_sidebar(alerted, subject, count):
    assert current.count_firing() == 1

    Row.objects.create(subject=subject, reason="x", ends_at=timezone.now() + timedelta(hours=1))
    catalog.forget()

    assert current.count_firing() == count


def test_the_history_is_read_in_pages_from_the_latest_change(ask, alerted):
    alerted.redis.delete("syn:{orders}:dlq:shop")
    alerted.seconds(90)

    first = ask("GET", "/alerts/history?count=1")
    second = ask("GET", f"/alerts/history?count=1&before={first.json['next']}")
    last = ask("GET", f"/alerts/history?before={second.json['next']}")

    AlertHistory.model_validate(first.json)
    assert [each["state"] for page in (first, second, last) for each in page.json["changes"]] == ["resolved", "firing"]
    assert last.json == {"changes": [], "next": None}
    assert first.json["changes"][0]["sentence"].startswith("resolved: bridge orders-to-shop fails: 2 dead letters")


def test_a_service_sees_the_alerts_of_streams_that_it_may_use_alone(ask, alerted, as_service):
    user = as_service("metrics:read", subscribes=["orders"])
    shown = [ask("GET", path, headers=user).json for path in ("/alerts", "/alerts/history")]

    assert len(shown[0]["alerts"]) == 2
    assert len(shown[1]["changes"]) == 1


def test_a_service_sees_no_alert_of_another_stream_and_none_of_a_key(ask, alerted, as_service):
    other = as_service("metrics:read", subscribes=["payments"])

    assert ask("GET", "/alerts", headers=other).json["alerts"] == []
    assert ask("GET", "/alerts/history", headers=other).json["changes"] == []
    assert not current.is_shown({"key": "k1", "service": "billing"}, _Rights("metrics:read"))
    assert current.is_shown({"key": "k1", "service": "billing"}, _Rights("keys:write"))
    assert current.is_shown({"rule": "redis-memory"}, _Rights("metrics:read"))


class _Rights:
    def __init__(self, *scopes: str) -> None:
        self._scopes = scopes

    def may(self, *_: object) -> bool:
        return False

    def has(self, scope: str) -> bool:
        return scope in self._scopes


@pytest.mark.parametrize("path", ["/alerts", "/alerts/history", "/alerts/silences"])
def test_a_service_without_the_scope_is_refused(ask, stage, as_service, path):
    answer = ask("GET", path, headers=as_service("registry:read", subscribes=["orders"]))

    assert (answer.status, answer.json["missing"]) == (403, "alerts:write" if "silences" in path else "metrics:read")


@for_each("query", ["count=0", "count=1001", "before=x", "before=1", "before=99999999999999999999-0", "since=1"])
def test_a_page_of_changes_that_cannot_be_is_refused(ask, stage, query):
    assert ask("GET", f"/alerts/history?{query}").status == 400


def _asked(**changes):
    ends = (timezone.now() + timedelta(hours=2)).isoformat()
    return json.dumps({"subject": "orders-to-shop", "reason": "It moves.", "ends_at": ends, **changes})


def test_a_silence_is_made_listed_and_ended_and_each_is_recorded(django):
    made = django("POST", "/alerts/silences", _asked())
    listed = django("GET", "/alerts/silences")
    ended = django("DELETE", f"/alerts/silences/{made.json['id']}")
    again = django("DELETE", f"/alerts/silences/{made.json['id']}")

    assert made.status == 201, made.body
    Silence.model_validate_json(made.body)
    Silences.model_validate_json(listed.body)
    assert [each["id"] for each in listed.json["silences"]] == [made.json["id"]]
    assert made.json["state"] == "active"
    assert (ended.status, ended.json["state"]) == (200, "over")
    assert again.json == ended.json
    assert django("GET", "/alerts/silences").json == {"silences": []}
    found = AuditEntry.objects.filter(target=f"silence {Row.objects.get()}").order_by("id")
    assert [(entry.action, entry.actor) for entry in found] == [("create", "anonymous"), ("end", "anonymous")]


def test_times_of_a_silence_are_written_like_those_of_alerts(django):
    ends = timezone.now() + timedelta(hours=2)

    made = django("POST", "/alerts/silences", _asked(ends_at=ends.isoformat())).json
    (listed,) = django("GET", "/alerts/silences").json["silences"]

    assert made["ends_at"] == ends.isoformat().replace("+00:00", "Z")
    assert made["begins_at"].endswith("Z")
    assert listed == made


@for_each(
    "changes, parameter",
    [
        ({"ends_at": None}, "ends_at"),
        ({"ends_at": ""}, "ends_at"),
        ({"ends_at": "tomorrow"}, "ends_at"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "9999-12-31T23:59:59Z"}, "ends_at"),
        ({"ends_at": "0001-01-01T00:00:00+14:00"}, "ends_at"),
        ({"begins_at": "x"}, "begins_at"),
        ({"reason": ""}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"subject": "a b"}, "subject"),
        ({"subject": ""}, "subject"),
        ({"rule": "x" * 101}, "rule"),
        ({"owner": "x"}, "owner"),
    ],
)
def test_a_silence_without_a_good_end_reason_or_pattern_is_refused(ask, stage, changes, parameter):
    answer = ask("POST", "/alerts/silences", _asked(**changes))

    assert (answer.status, answer.json.get("parameter")) == (400, parameter), answer.body
    assert not Row.objects.exists()


def test_a_silence_of_more_than_ninety_days_is_refused(ask, stage):
    ends = (timezone.now() + timedelta(days=91)).isoformat()

    assert ask("POST", "/alerts/silences", _asked(ends_at=ends)).status == 400


@for_each("number", ["999", "0", "-1", "x", "9" * 30, "٣"])
def test_a_silence_that_is_not_there_is_404(django, number):
    assert django("DELETE", f"/alerts/silences/{number}").status == 404


@pytest.mark.parametrize("path", ["/alerts", "/alerts/history"])
def test_a_value_of_another_program_in_place_of_the_alerts_is_named(ask, stage, path):
    for part in ("states", "changes"):
        stage.redis.set(keyspace.alerts(part), "x")

    answer = ask("GET", path)

    assert (answer.status, "WRONGTYPE" in answer.json["detail"]) == (503, True)


def test_all_alerts_are_shown_to_who_may_see_all(alerted):
    assert len(current.list_alerts(EVERYTHING, now=alerted.now).alerts) == 2
    assert len(current.list_changes(EVERYTHING).changes) == 1
