"""`manage.py consume`: print a stream's events as they arrive."""

import argparse
import contextlib
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from bridges import consuming
from bridges.rendering import harmless
from bridges.runtime.stop import Stop
from core.names import RULE, is_name
from core.problems import Problem

EXAMPLES = """
Each event goes to one consumer of each group, and is settled once it is printed. A group keeps its place: a
restarted consumer goes on where the last one was.

  manage.py consume inference-events
  manage.py consume inference-events --group audit --from 2025-12-24T10:00:00Z
  manage.py consume inference-events --drain | jq .event
"""


class Command(BaseCommand):
    help = "Print a stream's events as they arrive: for people on a terminal, as JSON lines into a pipe."
    requires_system_checks: list[str] = []  # some ask the database, which may be away for a while

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLES
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("stream", help="a stream of the catalog")
        parser.add_argument("--group", type=_name, default="console", help="the consumer group (default: console)")
        parser.add_argument(
            "--from",
            dest="begin",
            metavar="WHERE",
            help="where a new group begins: beginning (default), new, the id of an event, or a time (ISO 8601, UTC)",
        )
        parser.add_argument("--drain", action="store_true", help="stop when caught up")
        parser.add_argument("--count", type=_count, metavar="N", help="stop after N events")
        parser.add_argument("--consumer", type=_name, metavar="NAME", help="its name in the group (default: its own)")

    def handle(self, *_: Any, **options: Any) -> None:
        if sys.stdout is None:
            raise CommandError("Standard output is closed: there is nowhere to print to.")
        stop = Stop()
        stop.on_signals()
        colour = True if options["force_color"] else False if options["no_color"] else None
        wanted = consuming.Wanted(
            **{name: options[name] for name in ("stream", "group", "begin", "drain", "count", "consumer")}
        )
        try:
            worker = consuming.console_worker(wanted, descriptor=sys.stdout.fileno(), say=say, stop=stop, colour=colour)
            consuming.consume(worker)
        except Problem as problem:
            raise CommandError(problem.detail) from None
        except DatabaseError as error:
            raise CommandError(
                f"The catalog cannot be read ({error}). Run `make run` first, or `manage.py migrate`."
            ) from None
        say(f"Printed {worker.delivered} event{'' if worker.delivered == 1 else 's'} of “{wanted.stream}”.")
        if worker.trouble:
            raise CommandError(f"Standard output takes no more: {worker.trouble}.")


def say(line: str) -> None:
    """Tell a person, beside the events. A terminal that is gone must not end the work."""
    if sys.stderr is not None:  # closed: print would take standard output instead
        with contextlib.suppress(OSError):
            print(harmless(line), file=sys.stderr, flush=True)


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"a name has {RULE}")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1")
    return int(text)
