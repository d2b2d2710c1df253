"""`manage.py consume`: deliver a stream's events to the console or a handler, or run bridges."""

import argparse
import contextlib
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.module_loading import import_string

from bridges import consume
from core import database
from synapse.delivery.shutdown import Interrupted, Stop
from synapse.delivery.text_line import escape_unprintable
from synapse.errors.streams import BadFilterExpression
from synapse.filters import EventFilter, compile_filter
from synapse.formats.text import RULE, is_name, plural
from synapse.http.redis_problems import FAILURES
from synapse.runtime import process

EXAMPLES = """
Each event goes to one consumer of each group, and is acknowledged once it is printed or handled. A group keeps its
position: a restarted consumer continues where the last one was.

  manage.py consume inference-events
  manage.py consume inference-events --group audit --from 2025-12-24T10:00:00Z
  manage.py consume inference-events --drain | jq .event
  manage.py consume inference-events --filter 'event.latency_ms > 100'
  manage.py consume inference-events --handler shop.handlers.on_inference
  manage.py consume --bridge archive-inference-events
  manage.py consume --all
"""
# The options that go with a stream, by their names in Python.
OF_A_STREAM = {
    "group": "--group",
    "begin": "--from",
    "count": "--count",
    "consumer": "--consumer",
    "handler": "--handler",
    "filter": "--filter",
}


class Command(BaseCommand):
    help = "Bring a stream's events to the terminal, into a pipe or to a handler; or run bridges of the catalog."
    requires_system_checks: list[str] = []  # some checks query the database, which may be unavailable for a while

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXAMPLES
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("stream", nargs="?", help="a stream of the catalog")
        parser.add_argument(
            "--bridge", action="append", type=_parse_name, metavar="NAME", help="run this bridge; repeatable"
        )
        parser.add_argument("--all", action="store_true", help="run all enabled bridges, as they change")
        parser.add_argument(
            "--group", type=_parse_name, help="the consumer group (default: console, or the handler's path)"
        )
        parser.add_argument(
            "--from",
            dest="begin",
            metavar="WHERE",
            help="where a new group begins: beginning (default), new, the id of an event, or a time (ISO 8601, UTC)",
        )
        parser.add_argument(
            "--handler",
            metavar="PATH",
            help="call this function with each event, instead of printing it; SYNAPSE_HANDLERS must list it",
        )
        parser.add_argument(
            "--filter",
            type=_parse_filter,
            metavar="EXPRESSION",
            help="only events that meet this expression (docs/filters.md); others are acknowledged",
        )
        parser.add_argument("--personal", action="store_true", help="print PII unmasked")
        parser.add_argument("--drain", action="store_true", help="stop when caught up")
        parser.add_argument("--count", type=_parse_count, metavar="N", help="stop after N events")
        parser.add_argument(
            "--consumer",
            type=_parse_name,
            metavar="NAME",
            help="the consumer's name in the group (default: a name of its own)",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        _check_options(options)
        import_string(settings.STOP_WITH_PARENT)()
        process.raise_descriptor_limit()
        stop = Stop()
        stop.on_signals()
        try:
            database.wait_for_database(say, stop.sleep)
            if options["stream"]:
                _consume_stream(options, stop)
            else:
                _run_bridges(options, stop)
        except Interrupted:
            return
        except FAILURES as failure:
            raise CommandError(escape_unprintable(failure.detail)) from None
        except DatabaseError as error:
            raise CommandError(
                f"The catalog cannot be read ({error}). Run `make run` first, or `manage.py migrate`."
            ) from None


def _check_options(options: dict[str, Any]) -> None:
    if (options["stream"] is not None) + bool(options["bridge"]) + options["all"] != 1:
        raise CommandError("Say what to consume: a stream, --bridge NAME, or --all.")
    if options["stream"] is None:
        for name, option in OF_A_STREAM.items():
            if options[name] is not None:
                raise CommandError(f"{option} goes with a stream; a bridge's definition says what it does.")
    if options["personal"] and (options["stream"] is None or options["handler"]):
        raise CommandError("--personal goes with a stream that is printed.")


def _consume_stream(options: dict[str, Any], stop: Stop) -> None:
    if sys.stdout is None:
        raise CommandError("Standard output is closed: there is nowhere to print to.")
    colour = True if options["force_color"] else False if options["no_color"] else None
    names = ("stream", "group", "begin", "drain", "count", "consumer", "handler", "personal", "filter")
    wanted = consume.ConsumeOptions(**{name: options[name] for name in names})
    worker = consume.worker_for(wanted, descriptor=sys.stdout.fileno(), say=say, stop=stop, colour=colour)
    consume.run_worker(worker)
    done = worker.progress.status()
    failed = f"; {done.failed} attempts failed" if done.failed else ""
    filtered = f"; {done.filtered} filtered out" if done.filtered else ""
    did, events = "Handled" if wanted.handler else "Printed", plural("event", done.delivered)
    say(f"{did} {done.delivered} {events} of “{wanted.stream}”{filtered}{failed}.")
    if worker.trouble:
        raise CommandError(f"Standard output takes no more: {worker.trouble}.")


def _run_bridges(options: dict[str, Any], stop: Stop) -> None:
    supervisor = consume.supervisor_for(
        options["bridge"], say=lambda name, line: say(f"{name}: {line}"), drain=options["drain"]
    )
    ended = consume.run_supervisor(supervisor, stop)
    failed = []
    for bridge, status in supervisor.totals():
        say(f"{bridge.name}: delivered {status.delivered} {plural('event', status.delivered)} of “{bridge.stream}”.")
        failed += [bridge.name] if status.state == "failed" else []
    if not ended:
        raise CommandError("Some bridges did not finish in time; their events in flight will be delivered again.")
    if failed and options["drain"]:
        raise CommandError(f"Not all is delivered: see above for {', '.join(failed)}.")


def say(line: str) -> None:
    """Write a line for people to standard error. Failing to write, as when the terminal was closed, does not end the
    work.
    """
    if sys.stderr is not None:  # if it is closed, print would use standard output
        with contextlib.suppress(OSError):
            print(escape_unprintable(line), file=sys.stderr, flush=True)


def _parse_name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"a name has {RULE}")
    return text


def _parse_filter(text: str) -> EventFilter:
    try:
        return compile_filter(text)
    except BadFilterExpression as error:
        raise argparse.ArgumentTypeError(escape_unprintable(error.detail)) from None


def _parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1")
    return int(text)
