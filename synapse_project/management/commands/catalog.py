"""`manage.py catalog`: compare a catalog file with the database, apply it, or export one."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from bridges.catalog import BRIDGE
from core.templatetags.synapse import visible
from streams import leftovers
from streams.catalog import STREAM
from synapse.catalog import plan as catalog_plan
from synapse.catalog.file import BadCatalog
from synapse.catalog.plan import Change
from synapse.redis import RedisUnavailable
from synapse.runtime import periodic
from synapse_project import catalog

_STAYS = "These keys stay in Redis, where `manage.py leftovers` lists and purges them."


class Command(BaseCommand):
    help = "Compare a catalog file with the database, apply it, or write the database's catalog as such a file."
    requires_system_checks: list[str] = []  # `up` runs this at every start

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="plan | apply | export")
        plan = verbs.add_parser("plan", help="print what apply would change")
        plan.add_argument("file", help="the catalog file, - for the standard input")
        plan.add_argument("--delete", action="store_true", help="also show what apply --delete would delete")
        plan.add_argument("--check", action="store_true", help="exit with status 1 when there is something to change")
        apply = verbs.add_parser("apply", help="change the database as the file says, completely or not at all")
        apply.add_argument("file", help="the catalog file, - for the standard input")
        choice = apply.add_mutually_exclusive_group()
        choice.add_argument("--delete", action="store_true", help="delete what the file does not name")
        choice.add_argument(
            "--only-new", action="store_true", help="create missing definitions, and leave existing ones unchanged"
        )
        apply.add_argument(
            "--yes", action="store_true", help="with --delete: do not ask where deleted streams or bridges leave events"
        )
        export = verbs.add_parser("export", help="write the database's catalog as a file")
        export.add_argument("file", nargs="?", default="-", help="the file to write (default: the standard output)")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            getattr(self, options["verb"])(options)
        except BadCatalog as error:
            raise CommandError("\n  ".join([f"{error.detail}; nothing was changed.", *error.problems])) from None
        except DatabaseError as error:
            reason = str(error).splitlines()[0]
            raise CommandError(f"The database refused: {reason}. Nothing was changed. Is it migrated?") from error

    def _print(self, line: str) -> None:
        self.stderr.write(line, style_func=str)

    def plan(self, options: dict[str, Any]) -> None:
        loaded = catalog.load(options["file"])
        with periodic.report_long_work(self._print, "Comparing"):
            changes = loaded.plan(delete=options["delete"])
        for line in catalog_plan.difference_lines(changes):
            self.stdout.write(line)
        self.stdout.write(catalog_plan.summary_line(changes, done=False))
        for sentence in _describe_leftovers(changes):
            self.stdout.write(visible(sentence))
        if changes and options["check"]:
            sys.exit(1)

    def apply(self, options: dict[str, Any]) -> None:
        loaded = catalog.load(options["file"])
        with periodic.report_long_work(self._print, "Comparing"):
            asks = options["delete"] and not options["yes"]
            left = _describe_leftovers(loaded.plan(delete=True)) if asks else []
        self._confirm(left, from_terminal=options["file"] != "-" and sys.stdin.isatty())
        with periodic.report_long_work(self._print, "Applying the catalog"):
            changes = loaded.apply(delete=options["delete"], only_new=options["only_new"])
        if options["verbosity"]:
            self.stdout.write(catalog_plan.summary_line(changes, done=True))

    def _confirm(self, left: list[str], *, from_terminal: bool) -> None:
        """Ask the person at the terminal to confirm deletions that leave events in Redis."""
        if not left:
            return
        if not from_terminal:
            raise CommandError("\n  ".join(["Nothing was changed. Add --yes to delete them.", *left]))
        for sentence in left:
            self.stdout.write(visible(sentence))
        if input("Delete their definitions? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")

    def export(self, options: dict[str, Any]) -> None:
        text = catalog.export()
        if options["file"] == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["file"]).write_text(text, encoding="utf-8")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CommandError(f"{options['file']} cannot be written: {reason}") from None


def _describe_leftovers(changes: list[Change]) -> list[str]:
    """Return sentences on the data in Redis that remain after definitions are deleted."""
    gone = [change for change in changes if change.action == "delete"]
    bridges = [change.before or {} for change in gone if change.kind == BRIDGE]
    try:
        owed = [leftovers.leftovers_of_group(bridge["stream"], bridge["group"]) for bridge in bridges]
        owed += [
            said for change in gone if change.kind == STREAM for said in leftovers.leftovers_of_stream(change.name)
        ]
        # A bridge deleted with its stream would be mentioned twice.
        left = [said for said in dict.fromkeys(owed) if said]
    except RedisUnavailable as problem:
        left = [f"What the deleted bridges and streams leave in Redis is not known: {problem.detail}"]
    return [*left, _STAYS] if left else []
