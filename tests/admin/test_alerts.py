"""The pages of alerts: what fires, since when and where it is mended; rules, silences and the badge."""

import json
import re
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse
from django.utils import timezone

from alerts.admin import badge
from alerts.models import AlertRule, Silence
from bridges.models import Bridge
from core.models import AuditEntry
from streams import connections
from streams.models import Stream
from streams.snapshot import holder as catalog
from synapse.alerts.rules import DEFAULT_RULES
from synapse.alerts.state import AlertState, pack
from synapse.redis import keyspace
from synapse.statistics.sampler import Sampler

SENTENCE = "group shop of orders fails: 126 dead letters since 02:14, HTTP 503"
OPERATOR = ("alerts.view_alertrule", "alerts.view_silence", "streams.view_stream")


@pytest.fixture
def orders(define):
    return define("orders", {"order-placed": None}, owner="Team Shop", runbook="https://wiki.example.org/shop")


def fire(redis, *, phase="firing", subject="group:orders/shop", said=SENTENCE, rule="dead-letters", **more):
    """Write the state of an alert as the evaluator does."""
    now = timezone.now().timestamp()
    state = AlertState(phase=phase, since=now - 300, value=126, said=said, fired_at=now, **more)
    redis.hset(keyspace.alerts("states"), f"{rule} {subject}", pack(state))
    redis.set(keyspace.alerts("evaluated"), str(now))


def page(client, name, *arguments, **query):
    return client.get(reverse(f"admin:alerts_{name}", args=arguments), query).content.decode()


def test_an_alert_shows_its_sentence_owner_runbook_and_the_page_that_solves_it(admin_client, redis, orders):
    fire(redis)

    html = page(admin_client, "alertrule_now")

    assert SENTENCE in html
    assert "Team Shop" in html
    assert 'href="https://wiki.example.org/shop"' in html
    assert reverse("admin:bridges_bridge_dead_letters_group", args=[orders.pk, "shop"]) in html
    assert f"{reverse('admin:alerts_silence_add')}?rule=dead-letters&amp;subject=orders%2Fshop" in html
    assert "no process evaluates" not in html


def test_an_alert_of_a_stream_that_a_person_may_not_see_is_not_shown(client_who_may, redis, orders):
    fire(redis)
    client = client_who_may("alerts.view_alertrule")

    assert SENTENCE not in page(client, "alertrule_now")
    assert SENTENCE not in client.get(reverse("admin:index")).content.decode()


def test_a_text_of_an_alert_that_is_html_is_shown_as_text(admin_client, redis, orders):
    fire(redis, said="<script>alert(1)</script>")

    html = page(admin_client, "alertrule_now")

    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert(1)" not in html


def test_the_page_reports_that_no_process_evaluates_the_rules(admin_client, redis, orders):
    assert "Rules were never evaluated" in page(admin_client, "alertrule_now")

    redis.set(keyspace.alerts("evaluated"), str(timezone.now().timestamp() - 600))

    assert "no process evaluates them" in page(admin_client, "alertrule_now")


@pytest.mark.parametrize("name", ["alertrule_now", "alertrule_changes", "alertrule_changelist", "silence_changelist"])
def test_the_pages_of_alerts_are_shown_without_redis(admin_client, no_redis, name):
    assert admin_client.get(reverse(f"admin:alerts_{name}")).status_code == 200


@pytest.mark.parametrize("name", ["admin:index", "admin:alerts_alertrule_now", "admin:alerts_alertrule_changes"])
def test_the_pages_are_shown_where_another_program_wrote_to_the_keys_of_alerts(admin_client, redis, monkeypatch, name):
    monkeypatch.setattr(badge, "_known", (float("-inf"), 0))
    for part in ("states", "changes"):
        redis.set(keyspace.alerts(part), "x")

    assert admin_client.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("before", ["x", "1", "99999999999999999999-0", "-"])
def test_an_invalid_position_in_the_history_is_reported_on_the_page(admin_client, redis, before):
    assert "is what the page before gave as its next" in page(admin_client, "alertrule_changes", before=before)


def test_the_history_is_read_page_by_page(admin_client, redis, orders):
    alert = {
        "alert": "dead-letters group:orders/shop", "rule": "dead-letters", "severity": "warning", "state": "resolved",
        "stream": "orders", "group": "shop", "sentence": "", "since": "2026-11-23T02:14:05Z",
        "at": "2026-11-23T02:20:11Z", "owner": "", "runbook": "", "labels": {}, "link": "/admin/", "silenced": False,
    }  # fmt: skip
    for number in range(60):
        redis.xadd(keyspace.alerts("changes"), {"change": json.dumps({**alert, "sentence": f"change {number}."})})

    first = admin_client.get(reverse("admin:alerts_alertrule_changes"))
    html = first.content.decode()
    older = admin_client.get(f"{reverse('admin:alerts_alertrule_changes')}?{first.context['older']}").content.decode()

    assert ("change 59." in html, "change 10." in html, "change 9." in html) == (True, True, False)
    assert ("change 9." in older, "change 0." in older, "change 10." in older) == (True, True, False)


def test_default_changed_and_added_rules_are_all_listed(admin_client):
    AlertRule.objects.create(name="dead-letters", enabled=False)
    AlertRule.objects.create(name="slow-shop", condition="lag_seconds", threshold=9, subjects=["orders-to-shop"])

    rows = admin_client.get(reverse("admin:alerts_alertrule_changelist")).context["rules"]

    shown = {row["rule"].name: row for row in rows}
    assert len(rows) == len(DEFAULT_RULES) + 1
    assert (shown["dead-letters"]["is_changed"], shown["dead-letters"]["rule"].enabled) == (True, False)
    assert (shown["slow-shop"]["is_own"], shown["slow-shop"]["threshold"]) == (True, "9 s")
    assert "add/?name=group-behind" in shown["group-behind"]["url"]


def test_the_form_that_changes_a_default_rule_begins_with_its_values(admin_client):
    add = reverse("admin:alerts_alertrule_add")
    initial = admin_client.get(add, {"name": "group-behind"}).context["adminform"].form.initial
    assert (initial["condition"], initial["threshold"], initial["for_seconds"]) == ("lag_seconds", 300, 120)

    form = {"name": "group-behind", "condition": "lag_seconds", "threshold": "60", "subjects": "orders*, payments"}
    answer = admin_client.post(add, form)

    assert answer.status_code == 302
    row = AlertRule.objects.get()
    assert (row.threshold, row.for_seconds, row.subjects, row.enabled) == (60, None, ["orders*", "payments"], False)
    assert AuditEntry.objects.filter(action="create", target__contains="group-behind").exists()


def test_the_form_of_a_silence_proposes_two_hours_and_a_silence_names_its_creator(admin_client):
    add = reverse("admin:alerts_silence_add")
    initial = admin_client.get(add, {"rule": "dead-letters", "subject": "shop"}).context["adminform"].form.initial
    assert initial["ends_at"] - timezone.now() < timedelta(hours=2, seconds=1)

    form = {
        "rule": "dead-letters", "subject": "shop", "reason": "being mended",
        "begins_at_0": "2026-11-23", "begins_at_1": "10:00:00", "ends_at_0": "2026-11-23", "ends_at_1": "12:00:00",
    }  # fmt: skip
    assert admin_client.post(add, form).status_code == 302
    assert Silence.objects.get().created_by == "person:admin"


@pytest.mark.parametrize("ends", ["", "2027-11-23"])
def test_a_silence_without_an_end_or_for_too_long_is_refused(admin_client, ends):
    form = {
        "rule": "*", "subject": "*", "reason": "x",
        "begins_at_0": "2026-11-23", "begins_at_1": "10:00:00", "ends_at_0": ends, "ends_at_1": "12:00:00",
    }  # fmt: skip

    answer = admin_client.post(reverse("admin:alerts_silence_add"), form)

    assert "ends_at" in answer.context["adminform"].form.errors
    assert not Silence.objects.exists()


def test_a_silence_is_ended_now_and_that_is_recorded(admin_client):
    now = timezone.now()
    row = Silence.objects.create(rule="*", subject="shop", reason="x", begins_at=now, ends_at=now + timedelta(hours=1))
    assert "End it now" in page(admin_client, "silence_change", row.pk)

    admin_client.post(reverse("admin:alerts_silence_end", args=[row.pk]))

    row.refresh_from_db()
    assert row.state == "over"
    assert AuditEntry.objects.filter(action="end").exists()
    assert "End it now" not in page(admin_client, "silence_change", row.pk)


def test_the_stream_of_alerts_is_defined_with_the_first_receiver(admin_client):
    url = reverse("admin:alerts_alertrule_deliver")

    assert admin_client.get(url).url == reverse("admin:alerts_alertrule_now")
    assert not Stream.objects.filter(name="synapse-alerts").exists()

    answer = admin_client.post(url)

    stream = Stream.objects.get(name="synapse-alerts")
    assert answer.url.startswith(f"{reverse('admin:bridges_bridge_add')}?stream={stream.pk}&")
    assert admin_client.get(answer.url).status_code == 200
    assert not Bridge.objects.exists()


def test_the_badge_counts_the_firing_alerts_that_a_person_may_see(rf, admin_user, redis, monkeypatch):
    monkeypatch.setattr(badge, "_known", (float("-inf"), 0))
    fire(redis)
    fire(redis, rule="group-behind", phase="pending")
    fire(redis, rule="events-lost", is_untold=True)
    Silence.objects.create(rule="events-lost", reason="x", ends_at=timezone.now() + timedelta(hours=1))
    catalog.forget()
    request = rf.get("/")

    request.user = admin_user
    assert badge.count(request) == 1

    request.user = AnonymousUser()
    assert badge.count(request) is None


def test_an_alert_without_another_finding_has_a_line_of_its_own_on_the_first_page(admin_client, redis, orders):
    fire(redis)

    html = admin_client.get(reverse("admin:index")).content.decode()

    (line,) = re.findall(r"<li>\s*<span[^>]*>alert</span>.*?</li>", html, re.DOTALL)
    assert SENTENCE in line
    assert "?rule=dead-letters&amp;subject=orders%2Fshop" in line


def test_a_finding_with_an_alert_has_a_single_line_on_the_first_page(admin_client, redis, orders):
    redis.xgroup_create("orders", "shop", "$", mkstream=True)
    redis.xadd(keyspace.dead_letters("orders", "shop"), {"id": "1-0"})
    assert Sampler(connections.executor, lambda: ["orders"], clock=lambda: time.time() - 10).step()
    fire(redis)

    html = admin_client.get(reverse("admin:index")).content.decode()

    (line,) = re.findall(r"<li>\s*<span[^>]*>dead</span>.*?</li>", html, re.DOTALL)
    assert "has 1 dead letter" in line
    assert "An alert fires: warning." in line
    assert "?rule=dead-letters&amp;subject=orders%2Fshop" in line
    assert SENTENCE not in html
