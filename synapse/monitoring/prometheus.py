"""Files for Prometheus: alerting rules, and how the Prometheus Operator on Kubernetes scrapes Synapse.

See https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ and
https://prometheus-operator.dev/docs/api-reference/api/.
"""

import re
from collections.abc import Iterable
from typing import Any

from synapse.alerts.rules import CONDITIONS, Rule, SubjectKind

# The labels of a series that are the subject of an alert in Prometheus.
_SUBJECTS: dict[SubjectKind, str] = {
    "stream": "Stream {{ $labels.stream }}",
    "group": "Group {{ $labels.group }} of stream {{ $labels.stream }}",
    "key": "A key",
    "redis": "Redis",
}
_VALUES = {
    "seconds": "{{ humanizeDuration $value }}",
    "percent": '{{ printf "%.1f" $value }} %',
    "": "{{ $value }}",
}
# The metric of alerts that Synapse raises itself. Rules for some subjects only, and rules without a metric of their
# own, use it. Each process of a web server reports all alerts.
_RAISED = 'max by (job) (synapse_alerts{{rule="{name}",state="firing"}}) > 0'
# Characters that the name of a label may have in the catalog, but not in Prometheus.
_NO_LABEL = re.compile(r"[^A-Za-z0-9_]")


def alerting_rules(rules: Iterable[Rule]) -> dict[str, Any]:
    """Return a file of alerting rules: one for each enabled rule, and one for a Synapse that is not scraped."""
    found = [_alert_rule(rule) for rule in rules if rule.enabled]
    return {"groups": [{"name": "synapse", "rules": [*found, _ABSENT]}]}


_ABSENT = {
    "alert": "SynapseAbsent",
    "expr": "absent(synapse_build_info)",
    "for": "120s",
    "labels": {"severity": "critical"},
    "annotations": {
        "summary": "Prometheus has no metrics of Synapse",
        "description": "No process of Synapse answered the last scrapes. Without Redis it answers none.",
    },
}


def _alert_rule(rule: Rule) -> dict[str, Any]:
    condition = CONDITIONS[rule.condition]
    own = condition.prometheus if not rule.subjects else ""
    said = _literal_template(rule.description or rule.name)
    if own:
        summary = f"{_SUBJECTS[condition.subject]}: {said}"
        description = f"{condition.meaning} Now: {_VALUES.get(condition.unit, _VALUES[''])}"
    else:
        # The metric has the number of alerts, and not their subjects.
        summary = f"Synapse: {said}"
        description = "Alerts of Synapse that fire: {{ $value }}. Its page of alerts shows them."
    annotations = {"summary": summary, "description": description}
    if rule.runbook:
        annotations["runbook_url"] = _literal_template(rule.runbook)
    return {
        "alert": "Synapse" + "".join(word.capitalize() for word in rule.name.split("-")),
        "expr": own.replace("{threshold}", f"{rule.threshold:g}") or _RAISED.format(name=rule.name),
        # Synapse itself already waited before it raised the alert.
        "for": f"{rule.for_seconds if own else 0}s",
        "labels": {_NO_LABEL.sub("_", name): _literal_template(text) for name, text in rule.labels.items()}
        | {"severity": rule.severity},
        "annotations": annotations,
    }


def _literal_template(text: str) -> str:
    """Return a template that renders to the text: Prometheus expands templates in annotations and labels."""
    return text.replace("{{", '{{ "{{" }}')


def service_monitor(
    *, name: str, namespace: str, port: str, interval: str, secret: str | None = None
) -> dict[str, Any]:
    """Return a ServiceMonitor as a Kubernetes object.

    Args:
        name: the name of the ServiceMonitor, and the value of the Service's label `app.kubernetes.io/name`.
        namespace: the namespace of the Service.
        port: the name of the Service's port.
        interval: the scrape interval, such as `30s`.
        secret: the Kubernetes Secret whose key `token` is a key of Synapse with the scope `metrics:read`, or
            SYNAPSE_METRICS_TOKEN; None when the installation runs without keys.
    """
    endpoint: dict[str, Any] = {"port": port, "path": "/metrics", "interval": interval}
    if secret:
        credentials = {"name": secret, "key": "token"}
        endpoint["authorization"] = {"type": "Bearer", "credentials": credentials}
    labels = {"app.kubernetes.io/name": name}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"selector": {"matchLabels": labels}, "endpoints": [endpoint]},
    }
