"""`manage.py leftovers`: list or purge keys in Redis of deleted streams and groups."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from core.templatetags.synapse import visible
from streams import leftovers
from streams.leftovers import Leftover
from streams.management.base import AnsweringCommand
from synapse.auth.principal import Principal
from synapse.formats.text import plural

ACTOR = Principal(kind="system", name="leftovers")


class Command(AnsweringCommand):
    help = (
        "List what Redis keeps of streams and groups that were deleted: copies of events, dead letters, counters. "
        "--purge deletes it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="STREAM[/GROUP]", help="only these (default: all)")
        parser.add_argument("--purge", action="store_true", help="delete them, and record it in the audit log")
        parser.add_argument(
            "--events",
            action="store_true",
            help="with --purge and names: delete also the events of these streams, where they are not in the catalog",
        )

    def answer(self, options: dict[str, Any]) -> int:
        if options["events"] and not (options["purge"] and options["names"]):
            raise CommandError("--events goes with --purge and the names of streams: it deletes their events.")
        found = self._select_named(leftovers.find_leftovers(), options["names"])
        for one in found:
            if options["purge"]:
                count = leftovers.purge_leftover(one, by=ACTOR, events=options["events"])
                self.stdout.write(visible(f"{one.name}: {count} {plural('key', count)} deleted"))
            else:
                self.stdout.write(visible(f"{one.name}: {_describe_leftover(one)}"))
        if not found:
            self.stdout.write("nothing is left over")
        return 0

    def _select_named(self, found: list[Leftover], names: list[str]) -> list[Leftover]:
        known = {one.name for one in found} | {one.stream for one in found}
        if unknown := [name for name in names if name not in known]:
            raise CommandError(visible(f"Nothing is left over of {', '.join(unknown)}."))
        return [one for one in found if not names or one.name in names or one.stream in names]


def _describe_leftover(one: Leftover) -> str:
    why = "no bridge and no consumer group has this name" if one.is_defined else "the stream is not in the catalog"
    what = "" if one.group else " in the stream itself, which --purge keeps"
    return f"{len(one.keys)} {plural('key', len(one.keys))}, {one.events} {plural('event', one.events)}{what}: {why}"
