"""What the commands about contracts and events have in common."""

import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from core.templatetags.synapse import visible
from streams.management.files import UNUSABLE
from synapse.inspection.recent_events import asked_last
from synapse.problems import BadParameter, Problem


class AnsweringCommand(BaseCommand):
    """A command whose exit status is its answer: 0 and 1 are what `answer` returns, 2 is for what cannot be used."""

    requires_system_checks: list[str] = []

    def answer(self, options: dict[str, Any]) -> int:
        """Do the work and return the exit status."""
        raise NotImplementedError

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            status = self.answer(options)
        except Problem as problem:
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
        """Tell a person, beside what is printed."""
        self.stderr.write(visible(line), style_func=str)


def last(text: str) -> int:
    """Return the value of `--last` (a type for argparse)."""
    try:
        return asked_last(text or "0")
    except BadParameter as problem:
        raise ArgumentTypeError(problem.detail.replace("“last” is ", "")) from None
