"""Rules and silences in the database: what they change, when they are loaded, and in a catalog file."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from alerts.links import link_to
from alerts.models import AlertRule, Silence
from alerts.snapshot import holder, rule_of, rules_of
from bridges.models import Bridge
from core.models import AuditEntry
from streams.models import Stream
from streams.snapshot import holder as catalog
from synapse.alerts.definitions import ALERT_FIELDS
from synapse.alerts.rules import CONDITIONS, DEFAULT_RULES, DEFAULTS_BY_NAME
from synapse.alerts.subject import Subject
from synapse.catalog.file import BadCatalog
from synapse_project.catalog import Catalog, export

pytestmark = pytest.mark.django_db


def named(rules, name):
    return next(rule for rule in rules if rule.name == name)


def test_without_a_row_the_rules_are_those_from_the_start():
    assert rules_of([]) == list(DEFAULT_RULES)


def test_a_row_changes_what_it_says_of_a_rule_that_is_there_from_the_start():
    found = rules_of([AlertRule(name="group-behind", threshold=900, severity="critical", subjects=["orders*"])])
    rule, before = named(found, "group-behind"), DEFAULTS_BY_NAME["group-behind"]

    assert len(found) == len(DEFAULT_RULES)
    assert (rule.threshold, rule.severity, rule.subjects) == (900, "critical", ("orders*",))
    assert (rule.condition, rule.for_seconds, rule.description) == (
        before.condition,
        before.for_seconds,
        before.description,
    )


def test_a_row_of_another_name_is_a_rule_of_its_own():
    rule = rule_of(AlertRule(name="silent", condition="no_traffic", for_seconds=0))

    assert (rule.threshold, rule.for_seconds, rule.severity) == (CONDITIONS["no_traffic"].threshold, 0, "warning")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "own"}, "condition"),
        ({"name": "own", "condition": "nonsense"}, "condition"),
        ({"name": "group-behind", "condition": "lost"}, "condition"),
        ({"name": "a b", "condition": "lost"}, "name"),
        ({"name": "own", "condition": "lost", "threshold": -1}, "threshold"),
        ({"name": "own", "condition": "lost", "for_seconds": 86_401}, "for_seconds"),
        ({"name": "own", "condition": "lost", "severity": "loud"}, "severity"),
        ({"name": "own", "condition": "lost", "subjects": "orders"}, "subjects"),
        ({"name": "own", "condition": "lost", "subjects": ["a b"]}, "subjects"),
        ({"name": "own", "condition": "lost", "subjects": ["a"] * 101}, "subjects"),
        ({"name": "own", "condition": "lost", "runbook": "javascript:x"}, "runbook"),
        ({"name": "own", "condition": "lost", "labels": {"team": 1}}, "labels"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(values, field):
    with pytest.raises(ValidationError) as refused:
        AlertRule(**values).full_clean()

    assert set(refused.value.message_dict) == {field}


@pytest.mark.parametrize("days", [0, -1, 91])
def test_a_silence_ends_after_it_begins_and_within_ninety_days(days):
    with pytest.raises(ValidationError):
        Silence(reason="x", ends_at=timezone.now() + timedelta(days=days, seconds=-1)).full_clean()


def test_a_silence_without_an_end_is_none():
    with pytest.raises(ValidationError, match="ends_at"):
        Silence(reason="x").full_clean()


def test_rules_and_silences_are_loaded_when_the_catalog_changes_and_without_a_query_otherwise(
    define, django_assert_num_queries
):
    define("orders")
    before = holder.current()
    AlertRule.objects.create(name="dead-letters", enabled=False)
    Silence.objects.create(subject="orders", reason="x", ends_at=timezone.now() + timedelta(hours=1))
    catalog.forget()

    after = holder.current()

    assert named(before.rules, "dead-letters").enabled
    assert not named(after.rules, "dead-letters").enabled
    assert after.is_silenced("dead-letters", Subject("group", "orders", "shop"), timezone.now().timestamp())
    assert not after.is_silenced("dead-letters", Subject("group", "orders", "shop"), timezone.now().timestamp() + 3_601)
    with django_assert_num_queries(0):
        assert holder.current() is after


def test_silences_that_are_over_are_not_loaded(define):
    define("orders")
    hour, now = timedelta(hours=1), timezone.now()
    for name, begins, ends in (("over", -2, -1), ("active", -1, 1), ("to-come", 1, 2)):
        Silence.objects.create(subject=name, reason="x", begins_at=now + begins * hour, ends_at=now + ends * hour)
    catalog.forget()

    assert {silence.subject for silence in holder.current().silences} == {"active", "to-come"}


def test_a_bridge_that_disabled_itself_is_known_with_its_reason(define):
    stream = define("orders")
    Bridge.objects.create(name="gone", stream=stream, group="g", sink="webhook", enabled=False)
    Bridge.objects.create(name="off", stream=stream, group="h", sink="webhook", enabled=False)
    AuditEntry.objects.create(actor="synapse", action="disable", target="bridge gone", after={"reason": "410 Gone"})
    catalog.forget()

    assert holder.current().disabled == {"gone": "410 Gone"}


FILE = """
alerts:
  - name: group-behind
    threshold: 900
  - name: orders-are-silent
    condition: no_traffic
    severity: critical
    subjects: [orders]
    labels: {team: shop}
  - name: events-lost
    enabled: false
"""


def test_rules_of_a_file_are_planned_applied_exported_and_deleted():
    file = Catalog(FILE.encode(), name="test")
    planned = [(change.action, change.kind, change.name) for change in file.plan()]
    file.apply()
    exported = export()
    again = Catalog(exported.encode(), name="export").plan(delete=True)
    changed = Catalog(FILE.replace("900", "1200").encode(), name="test").apply()
    gone = Catalog(b"alerts: []", name="test").apply(delete=True)

    assert planned == [("create", "alert rule", name) for name in ("group-behind", "orders-are-silent", "events-lost")]
    assert "  - name: group-behind\n    threshold: 900\n" in exported
    assert again == []
    assert [(change.before, change.after) for change in changed] == [({"threshold": 900}, {"threshold": 1200})]
    assert [change.action for change in gone] == ["delete"] * 3
    assert AuditEntry.objects.filter(target="alert rule group-behind").count() == 3
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("alerts: [{name: own}]", "condition: A rule has one of these"),
        ("alerts: [{name: own, condition: nonsens}]", "There is no condition “nonsens”"),
        ("alerts: [{name: events-lost, condition: no_traffic}]", "is there from the start"),
        ("alerts: [{name: own, condition: lost, treshold: 1}]", "did you mean “threshold”?"),
        ("alerts: [{name: own, condition: lost, threshold: 1.5}]", "must be a whole number"),
        ("alerts: [{name: own, condition: lost, subjects: orders}]", "A list of at most 100 patterns"),
        ("alerts: [{name: events-lost}, {name: events-lost}]", "is already at"),
    ],
)
def test_a_file_with_a_rule_that_cannot_be_is_refused_with_its_place(text, error):
    with pytest.raises(BadCatalog) as refused:
        Catalog(text.encode(), name="test").plan()

    assert any(error in line for line in refused.value.problems), refused.value.problems


def test_each_setting_of_a_rule_is_a_column_and_a_key():
    columns = {field.name for field in AlertRule._meta.concrete_fields} - {"id", "name"}

    assert columns == {field.name for field in ALERT_FIELDS}


def test_a_link_leads_to_the_page_where_the_alert_is_mended(define, settings):
    settings.PUBLIC_URL = "https://synapse.example.org"
    stream = define("orders")
    bridge = Bridge.objects.create(name="orders-to-shop", stream=stream, group="shop", sink="webhook")
    catalog.forget()
    holder.current()
    group = Subject("group", "orders", "shop", "orders-to-shop")
    base = "https://synapse.example.org/admin"

    assert link_to("dead_letters", group) == f"{base}/bridges/bridge/dead-letters/{stream.pk}/shop/"
    assert link_to("bridge_down", group) == f"{base}/bridges/bridge/{bridge.pk}/change/"
    assert link_to("lag_seconds", Subject("group", "orders", "own")) == f"{base}/bridges/bridge/groups/{stream.pk}/own/"
    assert link_to("lag_seconds", Subject("group", "orders", "a/b")) == f"{base}/streams/stream/{stream.pk}/groups/"
    assert link_to("refused_share", Subject("stream", "orders")) == f"{base}/streams/stream/{stream.pk}/refusals/"
    assert link_to("no_traffic", Subject("stream", "orders")) == f"{base}/streams/stream/{stream.pk}/statistics/"
    assert link_to("key_expires", Subject("key", name="k", of="s")) == f"{base}/streams/service/"
    assert (
        link_to("refused_share", Subject("stream", "gone")) == link_to("redis_memory", Subject("redis")) == f"{base}/"
    )
    assert Stream.objects.count() == 1
