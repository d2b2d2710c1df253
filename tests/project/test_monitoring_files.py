"""`manage.py monitoring`: what it writes, judged by Prometheus' own tools."""

import json
import re
import subprocess
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from alerts.models import AlertRule
from streams.snapshot import holder as snapshot
from synapse.alerts.rules import CONDITIONS, DEFAULT_RULES, Rule
from synapse.metrics import METRICS
from synapse.monitoring.grafana import dashboard
from synapse.monitoring.prometheus import alerting_rules
from tests.framing.proxies import program

# Series that a condition holds for, and such that it does not hold for; a value each minute.
SERIES = {
    "lag_seconds": ({"synapse_group_lag_seconds": "600x10"}, {"synapse_group_lag_seconds": "10x10"}),
    "dead_letters": ({"synapse_group_dead_letters": "3x10"}, {"synapse_group_dead_letters": "0x10"}),
    "refused_share": (
        {"synapse_events_refused_total": "0+60x10", "synapse_events_published_total": "0+60x10"},
        {"synapse_events_refused_total": "0+0x10", "synapse_events_published_total": "0+60x10"},
    ),
    "failing_share": (
        {"synapse_group_failures_total": "0+60x10", "synapse_group_delivered_total": "0+6x10"},
        {"synapse_group_failures_total": "0+6x10", "synapse_group_delivered_total": "0+60x10"},
    ),
    "lost": (
        {"synapse_group_lost_total": "0+1x10", "synapse_group_lost_silent_total": "0+0x10"},
        {"synapse_group_lost_total": "7+0x10", "synapse_group_lost_silent_total": "0+0x10"},
    ),
    "length_share": (
        {"synapse_stream_events": "950x10", "synapse_stream_limit_events": "1000x10"},
        {"synapse_stream_events": "500x10", "synapse_stream_limit_events": "1000x10"},
    ),
}
RAISED = ({"synapse_alerts": "1x10"}, {"synapse_alerts": "0x10"})


def run(*words: str) -> str:
    out = StringIO()
    call_command("monitoring", *words, stdout=out)
    return out.getvalue()


def promtool(*words: str) -> None:
    subprocess.run([program("promtool", "Prometheus"), *words], check=True, timeout=60)


@pytest.mark.django_db
def test_prometheus_takes_the_alerting_rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(run("prometheus"))

    promtool("check", "rules", str(tmp_path / "rules.yaml"))


@pytest.mark.django_db
def test_the_rules_are_those_of_the_catalog():
    AlertRule.objects.create(name="group-behind", threshold=77)
    snapshot.forget()

    (behind, *_) = yaml.safe_load(run("prometheus"))["groups"][0]["rules"]

    assert (behind["alert"], behind["expr"]) == ("SynapseGroupBehind", "synapse_group_lag_seconds >= 77")


def test_each_alert_fires_when_its_condition_holds_and_not_otherwise(tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(alerting_rules(DEFAULT_RULES)))
    tests = []
    for rule, alert in zip(DEFAULT_RULES, alerting_rules(DEFAULT_RULES)["groups"][0]["rules"], strict=False):
        condition = CONDITIONS[rule.condition]
        series = SERIES[rule.condition] if condition.prometheus else RAISED
        labels = {"stream": "orders"} | ({"group": "shop"} if condition.subject == "group" else {})
        if not condition.prometheus:
            labels = {"rule": rule.name, "state": "firing", "job": "synapse"}
        for holds, of in zip((True, False), series, strict=True):
            tests.append(
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name + selector(labels), "values": values} for name, values in of.items()
                    ],
                    "promql_expr_test": [
                        {
                            "expr": f'count(ALERTS{{alertname="{alert["alert"]}",alertstate="firing"}})',
                            "eval_time": "10m",
                            "exp_samples": [{"labels": "{}", "value": 1}] if holds else [],
                        }
                    ],
                }
            )
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))

    promtool("test", "rules", str(tmp_path / "tests.yaml"))


def selector(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{text}"' for name, text in labels.items()) + "}"


def test_a_disabled_rule_is_left_out_and_one_for_some_subjects_asks_for_the_alert_that_synapse_raises():
    off = Rule(name="off", condition="lost", threshold=1, enabled=False)
    some = Rule(
        name="slow-shop", condition="lag_seconds", threshold=9, subjects=("orders-to-shop",), runbook="https://w"
    )

    alert, absent = alerting_rules([off, some])["groups"][0]["rules"]

    assert (alert["alert"], alert["annotations"]["runbook_url"]) == ("SynapseSlowShop", "https://w")
    assert 'synapse_alerts{rule="slow-shop",state="firing"}' in alert["expr"]
    assert absent["alert"] == "SynapseAbsent"


TEXT = "Use {{ $labels.x }}, {{ or }} or {{{ }}}, 100 %"


@pytest.mark.parametrize("subjects", [(), ("orders-to-shop",)], ids=["of all", "of some"])
def test_prometheus_takes_labels_and_texts_of_rules_as_they_are(tmp_path, subjects):
    rule = Rule(
        name="slow.shop",
        condition="lag_seconds",
        threshold=9,
        for_seconds=0,
        subjects=subjects,
        description=TEXT,
        runbook="https://wiki.example.com/{{shop}}",
        labels={"cost-center": TEXT, "k8s.io/team": "shop"},
    )
    alert, absent = alerting_rules([rule])["groups"][0]["rules"]
    series = {
        "synapse_build_info{}": "1x5",
        'synapse_group_lag_seconds{stream="orders",group="shop"}': "60x5",
        # Each of two processes tells of all alerts.
        'synapse_alerts{rule="slow.shop",state="firing",job="synapse",instance="a"}': "2x5",
        'synapse_alerts{rule="slow.shop",state="firing",job="synapse",instance="b"}': "2x5",
    }
    of = {"job": "synapse"} if subjects else {"stream": "orders", "group": "shop"}
    fires = {
        "exp_labels": {**of, "cost_center": TEXT, "k8s_io_team": "shop", "severity": "warning"},
        "exp_annotations": {
            "summary": f"{'Synapse' if subjects else 'Group shop of stream orders'}: {TEXT}",
            "description": "Alerts of Synapse that fire: 2. Its page of alerts shows them."
            if subjects
            else f"{CONDITIONS['lag_seconds'].meaning} Now: 1m 0s",
            "runbook_url": rule.runbook,
        },
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "3m", "alertname": alert["alert"], "exp_alerts": [fires]},
            {"eval_time": "3m", "alertname": absent["alert"], "exp_alerts": []},
        ],
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(alerting_rules([rule])))
    (tmp_path / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
    )

    promtool("check", "rules", str(tmp_path / "rules.yaml"))
    promtool("test", "rules", str(tmp_path / "tests.yaml"))


def test_the_dashboard_asks_for_no_metric_that_there_is_not():
    written = json.loads(run("grafana"))

    assert written == dashboard()
    names = set(re.findall(r"synapse_[a-z_]+", json.dumps(written)))
    known = {metric.name for metric in METRICS} | {"synapse_build_info"}
    assert {name.removesuffix("_bucket") for name in names} <= known
    assert all(panel["description"] for panel in written["panels"] if panel["type"] != "row")


def test_a_servicemonitor_selects_the_service_and_shows_a_token_only_where_one_is_named():
    (endpoint,) = yaml.safe_load(run("servicemonitor"))["spec"]["endpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "30s"}

    document = yaml.safe_load(run("servicemonitor", "--name=hub", "--secret=token", "--interval=1m"))
    assert document["spec"]["selector"]["matchLabels"] == document["metadata"]["labels"]
    assert document["spec"]["endpoints"][0]["authorization"]["credentials"] == {"name": "token", "key": "token"}


@pytest.mark.parametrize("words", [["--name=Hub"], ["--interval=often"], ["--secret=a/b"], ["--namespace="]])
def test_a_name_that_kubernetes_does_not_take_is_refused(words):
    with pytest.raises(CommandError):
        run("servicemonitor", *words)


def test_documents_show_what_the_command_prints():
    page = Path("docs/monitoring.md").read_text()
    printed = run("servicemonitor", "--namespace=events", "--secret=synapse-metrics")

    assert printed in page
