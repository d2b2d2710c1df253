"""The base class of the commands about contracts and events, with their input and output files."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from core.templatetags.synapse import visible
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.inspection.recent_events import MOST_EVENTS, USUAL_EVENTS, parse_last
from synapse.problems import BadParameter

# The exit status for unusable input. A negative answer is 1.
UNUSABLE = 2


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """Open a file for reading, the standard input for “-”.

    Raises:
        CommandError: when it cannot be opened or read.
    """
    try:
        if name == "-":
            yield sys.stdin.buffer
        else:
            with Path(name).open("rb") as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        called = "The standard input" if name == "-" else name
        raise CommandError(f"{called} cannot be read: {_reason_of(error)}.", returncode=UNUSABLE) from None


def write_file(name: str, text: str) -> None:
    """Write a file, replacing an existing one.

    Raises:
        CommandError: when it cannot be written.
    """
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {_reason_of(error)}.", returncode=UNUSABLE) from None


def _reason_of(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


class AnsweringCommand(BaseCommand):
    """A command whose exit status is its result: 0 or 1 as returned by `answer`, or 2 for unusable input. `examples` is
    printed at the end of the help, verbatim.
    """

    requires_system_checks: list[str] = []
    examples = ""

    def create_parser(self, *names: str, **options: Any) -> CommandParser:
        parser = super().create_parser(*names, **options)
        if self.examples:
            parser.epilog, parser.formatter_class = self.examples, argparse.RawDescriptionHelpFormatter
        return parser

    def answer(self, options: dict[str, Any]) -> int:
        """Do the work and return the exit status."""
        raise NotImplementedError

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            status = self.answer(options)
        except FAILURES as failure:
            problem = problem_of(failure)
            place = problem.members.get("pointer")
            where = f" (at {place})" if place else ""
            raise CommandError(visible(problem.detail + where), returncode=UNUSABLE) from None
        except DatabaseError as error:
            raise CommandError(
                f"The catalog cannot be read ({error}). Run `make run` first, or `manage.py migrate`.",
                returncode=UNUSABLE,
            ) from None
        if status:
            sys.exit(status)

    def say(self, line: str) -> None:
        """Write a line for people to standard error, apart from the output."""
        self.stderr.write(visible(line), style_func=str)


def add_last(parser: CommandParser, what: str) -> None:
    """Add the option `--last`: the number of the newest events to read."""
    usual = f"{what}, at most {MOST_EVENTS} (default: {USUAL_EVENTS})"
    parser.add_argument("--last", type=_parse_last, default=USUAL_EVENTS, metavar="N", help=usual)


def _parse_last(text: str) -> int:
    """Parse the value of `--last` (a type for argparse)."""
    try:
        return parse_last(text or "0")
    except BadParameter as problem:
        raise argparse.ArgumentTypeError(problem.detail.replace("“last” is ", "")) from None
