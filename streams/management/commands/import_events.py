"""`manage.py import_events`: publish the events of a file of any length."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.core.management.base import CommandError, CommandParser

from core.templatetags.synapse import visible
from streams import connections
from streams.management.base import UNUSABLE, AnsweringCommand, open_input
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.http.exchange import Request
from synapse.inspection.recent_events import find_stream
from synapse.publishing.body import Slice
from synapse.publishing.event_files import Part, parts
from synapse.publishing.idempotency import HEADER
from synapse.publishing.imports import ContentKeys, import_events

EXAMPLES = """
The file holds one event a line (NDJSON), an array of events, or rows of an export, which contain events. Events are
published as by POST /events/STREAM, in parts. Events that were imported before are not stored again, unless under
another --key. The exit status is 0 when all were stored, 1 when some were refused, and 2 when the file or the stream
cannot be used.

  manage.py import_events orders orders.ndjson --dry-run
  manage.py import_events orders orders.ndjson --rate 500
  curl -s http://localhost:8002/export/events?stream=orders | manage.py import_events orders-copy -
"""
_COUNTED = ("accepted", "repeated", "warned", "rejected", "aborted")
# The number of events that are published together; with --rate, at most the events of one second.
_PART = 1000


class Command(AnsweringCommand):
    help = "Publish the events of a file, or only check them."
    examples = EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stream", help="a stream of the catalog")
        parser.add_argument("file", help="the events, - for the standard input")
        parser.add_argument("--dry-run", action="store_true", help="check the events, and store nothing")
        parser.add_argument("--rate", type=float, metavar="N", help="store at most N events a second")
        parser.add_argument("--key", help="an Idempotency-Key, to store again what was imported before")

    def answer(self, options: dict[str, Any]) -> int:
        stream, rate = options["stream"], options["rate"]
        if rate is not None and not 0 < rate <= 1_000_000:
            raise CommandError("--rate is how many a second, from above 0 to 1,000,000.", returncode=UNUSABLE)
        find_stream(holder.current(), stream)
        counts: Counter[str] = Counter()
        keys = ContentKeys()
        begun = time.monotonic()
        with open_input(options["file"]) as file:
            for part in _small_parts(parts(file, options["file"]), most=min(_PART, max(1, int(rate or _PART)))):
                if rate:
                    time.sleep(max(0.0, begun + counts["lines"] / rate - time.monotonic()))
                report = _import_part(stream, part, keys, options)
                for error in report["errors"]:
                    self.stderr.write(f"line {error['line']}: {visible(error['message'])}")
                counts.update({name: report[name] for name in ("lines", *_COUNTED)})
        done = "checked" if options["dry_run"] else "imported"
        said = ", ".join(f"{counts[word]} {word}" for word in _COUNTED if counts[word])
        self.say(f"{counts['lines']} lines {done} for “{stream}”: {said or 'none'}.")
        return int(counts["accepted"] < counts["lines"])


def _small_parts(found: Iterable[Part], *, most: int) -> Iterator[Part]:
    """Yield parts of at most `most` events. For events of a JSON array, the position counts as the line number."""
    first = 1
    for part in found:
        items = part.body.items()
        numbers = range(first, first + len(items)) if part.lines is None else part.lines
        first += len(items)
        for begin in range(0, len(items), most):
            body = part.body._replace(slices=(Slice(items[begin : begin + most]),))
            yield Part(body=body, lines=numbers[begin : begin + most])


def _import_part(stream: str, part: Part, keys: ContentKeys, options: dict[str, Any]) -> dict[str, Any]:
    headers = {HEADER.lower(): options["key"]} if options["key"] is not None else {}
    asked = Request(method="POST", path="", params={"stream": stream}, headers=headers, principal=SYSTEM)
    conversation = import_events(
        asked,
        holder.current(),
        connections.counters,
        dry_run=options["dry_run"],
        body=part.body,
        lines=part.lines,
        keys=keys,
    )
    found: dict[str, Any] = orjson.loads(
        connections.executor_for(holder.current().streams[stream]).run(conversation).whole_body
    )
    if "errors" not in found:
        raise CommandError(found["detail"], returncode=UNUSABLE)
    return found
