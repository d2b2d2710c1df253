"""`manage.py monitoring`: print configuration files for Prometheus and Grafana."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import yaml

from alerts.snapshot import holder
from streams.management.base import AnsweringCommand
from synapse.monitoring.grafana import dashboard
from synapse.monitoring.prometheus import alerting_rules, service_monitor

# A name in Kubernetes is a label of RFC 1123, 2.1.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_INTERVAL = re.compile(r"[1-9][0-9]{0,4}(?:ms|s|m)")


class Command(AnsweringCommand):
    help = "Print a file with which Prometheus or Grafana watch Synapse."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        kinds.add_parser("prometheus", help="the rules of alerts, as YAML for `rule_files`")
        kinds.add_parser("grafana", help="a dashboard, as JSON to import")
        monitor = kinds.add_parser("servicemonitor", help="a ServiceMonitor for the Prometheus Operator on Kubernetes")
        monitor.add_argument(
            "--name", type=_label, default="synapse", help="of the Service's label app.kubernetes.io/name"
        )
        monitor.add_argument("--namespace", type=_label, default="default", help="of the Service (default: default)")
        monitor.add_argument("--port", type=_label, default="http", help="the Service's port (default: http)")
        monitor.add_argument("--interval", type=_duration, default="30s", help="how often to scrape (default: 30s)")
        monitor.add_argument("--secret", type=_label, help="the Secret whose key `token` may read the metrics")

    def answer(self, options: dict[str, Any]) -> int:
        match options["kind"]:
            case "prometheus":
                self._write(alerting_rules(holder.current().rules))
            case "grafana":
                self.stdout.write(json.dumps(dashboard(), indent=2))
            case "servicemonitor":
                words = ("name", "namespace", "port", "interval", "secret")
                self._write(service_monitor(**{word: options[word] for word in words}))
        return 0

    def _write(self, document: dict[str, Any]) -> None:
        self.stdout.write(yaml.safe_dump(document, sort_keys=False, width=200), ending="")


def _label(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ArgumentTypeError("a name has 1 to 63 small letters, digits, and - inside")
    return text


def _duration(text: str) -> str:
    if not _INTERVAL.fullmatch(text):
        raise ArgumentTypeError("a duration such as 30s")
    return text
