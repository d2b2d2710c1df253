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
    help = "Print a configuration file with which Prometheus or Grafana watches Synapse."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        kinds.add_parser("prometheus", help="alerting rules, as YAML for `rule_files`")
        kinds.add_parser("grafana", help="a dashboard, as JSON to import")
        monitor = kinds.add_parser("servicemonitor", help="a ServiceMonitor for the Prometheus Operator on Kubernetes")
        monitor.add_argument(
            "--name",
            type=_label,
            default="synapse",
            help="the value of the Service's label app.kubernetes.io/name (default: synapse)",
        )
        monitor.add_argument(
            "--namespace", type=_label, default="default", help="the Service's namespace (default: default)"
        )
        monitor.add_argument(
            "--port", type=_label, default="http", help="the name of the Service's port (default: http)"
        )
        monitor.add_argument("--interval", type=_duration, default="30s", help="how often to scrape (default: 30s)")
        monitor.add_argument(
            "--secret",
            type=_label,
            help="the Secret that holds, under `token`, a Synapse key with the scope metrics:read",
        )

    def answer(self, options: dict[str, Any]) -> int:
        match options["kind"]:
            case "prometheus":
                self._write(alerting_rules(holder.current().rules))
            case "grafana":
                self.stdout.write(json.dumps(dashboard(), indent=2))
            case "servicemonitor":
                names = ("name", "namespace", "port", "interval", "secret")
                self._write(service_monitor(**{name: options[name] for name in names}))
        return 0

    def _write(self, document: dict[str, Any]) -> None:
        self.stdout.write(yaml.safe_dump(document, sort_keys=False, width=200), ending="")


def _label(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ArgumentTypeError("a name has 1 to 63 lower-case letters and digits, with - only between them")
    return text


def _duration(text: str) -> str:
    if not _INTERVAL.fullmatch(text):
        raise ArgumentTypeError("write a duration, such as 30s, 500ms or 5m")
    return text
