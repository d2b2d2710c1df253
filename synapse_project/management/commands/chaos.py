"""`manage.py chaos`: check on this machine that no event is lost while parts fail."""

import argparse
import json
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chaos import verdict
from chaos.launcher import RunFailed, run_apart
from chaos.plan import Plan

EXAMPLES = """
Everything happens in a temporary folder, with a server and a database of its own: what the settings name is not
touched. The exit status is 1 when something was lost, or another promise was broken.

  manage.py chaos --seconds 60 --seed 1
  manage.py chaos --order key
  manage.py chaos --calm --events 100000 --seconds 300
  manage.py chaos --stop-worker 0.5 --kill-worker 0 --kill-server 0
  manage.py chaos --redis-server /usr/bin/redis-server
"""
# The options for failures. Their values are mean intervals in seconds.
_WRONG = {
    "kill_worker": "a worker is killed (SIGKILL)",
    "kill_server": "Redis is killed (SIGKILL)",
    "stop_worker": "a worker is stopped (SIGTERM)",
    "freeze_worker": "a worker is frozen past its lease (SIGSTOP)",
}
CALM = dict.fromkeys((*_WRONG, "failures", "poison"), 0.0)


class Command(BaseCommand):
    help = "Publish and deliver events while workers and Redis are killed at random, and count the outcome of each."
    requires_system_checks: list[str] = []  # nothing of the installation is used

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLES
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        plan = Plan()
        parser.add_argument("--seconds", type=_number(1, 86_400), default=plan.seconds, help="how long to publish")
        parser.add_argument("--seed", type=int, default=plan.seed, help="decides what goes wrong")
        parser.add_argument(
            "--events", type=_number(1, 10**7, int), default=0, help="stop publishing after this number of events"
        )
        parser.add_argument("--rate", type=_number(1, 10**5, int), default=plan.rate, help="events a second")
        parser.add_argument(
            "--publishers", type=_number(1, 32, int), default=plan.publishers, help="processes that publish"
        )
        parser.add_argument("--workers", type=_number(1, 32, int), default=plan.workers, help="processes that handle")
        parser.add_argument("--order", choices=["none", "key", "stream"], default=plan.order, help="the bridge's order")
        parser.add_argument("--failures", type=_number(0, 1), help="the share of attempts that fail, from 0 to 1")
        parser.add_argument("--poison", type=_number(0, 1), help="the share of events that always fail, from 0 to 1")
        for name, what in _WRONG.items():
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                type=_number(0, 3600),
                metavar="SECONDS",
                help=f"the average seconds after which {what}; 0: never",
            )
        parser.add_argument("--calm", action="store_true", help="cause no failures except those of other options")
        parser.add_argument("--redis-server", dest="server", default="", metavar="PATH", help="another engine's server")
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        plan = _plan_of(options)
        signal.signal(signal.SIGTERM, _exit_on_sigterm)
        try:
            outcome = run_apart(plan, lambda line: self.stderr.write(line, style_func=str))
        except RunFailed as error:
            raise CommandError(str(error)) from None
        broken = verdict.list_broken(plan, outcome)
        if options["json"]:
            self.stdout.write(json.dumps({**outcome, "plan": json.loads(plan.to_text()), "broken": broken}))
        else:
            self.stdout.write(verdict.render_table(plan, outcome))
            self.stdout.write("Broken: " + "; ".join(broken) + "." if broken else "Every promise was kept.")
        if broken:
            sys.exit(1)


def _exit_on_sigterm(*_: object) -> None:
    """Exit normally, so that the run's processes and its server are stopped. Ignore a second SIGTERM, which `timeout`
    sends and which would interrupt that.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def _plan_of(options: dict[str, Any]) -> Plan:
    if server := options["server"]:
        path = Path(server).resolve()
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise CommandError(f"--redis-server: {server} is no program that can be run.")
        # The server is started in a folder of its own, so its path is absolute. Symbolic links are kept, because some
        # programs depend on their name.
        options["server"] = os.path.abspath(server)
    names = {field.name for field in fields(Plan)}
    given = {name: found for name, found in options.items() if name in names and found is not None}
    return Plan(**{**(CALM if options["calm"] else {}), **given})


def _number(least: float, most: float, kind: type[int] | type[float] = float) -> Any:
    what = "whole number" if kind is int else "number"

    def parse(text: str) -> float:
        number = kind(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"a {what} from {least} to {most}")
        return number

    parse.__name__ = what
    return parse
