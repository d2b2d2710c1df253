"""`manage.py validate`: check whether events would be accepted, and store nothing."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from django.core.management.base import CommandParser

from core.templatetags.synapse import visible
from streams import connections
from streams.management.base import AnsweringCommand, open_input
from streams.snapshot import holder
from synapse.http.exchange import Request
from synapse.inspection.recent_events import find_stream
from synapse.publishing import body, pipeline
from synapse.publishing.event_files import Part, parts

EXAMPLES = """
The file holds one event as a JSON object, an array of events, or one event a line (NDJSON). Each is checked as
POST /events/STREAM checks it. The exit status is 0 when all would be accepted, 1 when some would be refused, and 2 when
the file or the stream cannot be used.

  manage.py validate inference-events event.json
  manage.py consume inference-events --group probe --drain | jq -c .event | manage.py validate inference-events -
"""
_PAINTS = {"accepted": "SUCCESS", "warned": "WARNING", "refused": "ERROR"}


class Command(AnsweringCommand):
    help = "Check events as publishing would, and store nothing."
    examples = EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stream", help="a stream of the catalog")
        parser.add_argument("file", help="the events, - for the standard input")
        parser.add_argument(
            "--contract-version", metavar="N", help="check against this version of the contract, not the active one"
        )

    def answer(self, options: dict[str, Any]) -> int:
        stream, file = options["stream"], options["file"]
        find_stream(holder.current(), stream)
        version = options["contract_version"]
        headers = {} if version is None else {body.CONTRACT_VERSION.lower(): version}
        counts: Counter[str] = Counter()
        number = 0
        try:
            with open_input(file) as events:
                for part in parts(events, file):
                    for result in _validate_part(stream, part, headers):
                        counts[_word_of(result)] += 1
                        self._print_result(number, result)
                        number += 1
        except BrokenPipeError:
            # The reader closed the pipe, as `head` does. Standard output is redirected, because Python flushes it when
            # it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        said = ", ".join(f"{counts[word]} {word}" for word in _PAINTS if counts[word])
        self.say(f"{number} event{'' if number == 1 else 's'} for “{stream}”: {said}.")
        return 1 if counts["refused"] else 0

    def _print_result(self, number: int, result: Mapping[str, Any]) -> None:
        if not self.stdout.isatty():
            self.stdout.write(orjson.dumps({"index": number, **result}).decode())
            return
        word = _word_of(result)
        place = f"line {result['line']}" if "line" in result else f"event {number + 1}"
        sentences = [found["message"] for found in (*result["errors"], *result.get("warnings", ()))]
        first, *rest = sentences or [""]
        self.stdout.write(f"{place:<10} {getattr(self.style, _PAINTS[word])(word)} {visible(first)}".rstrip())
        for sentence in rest:
            self.stdout.write(f"{'':<10} {'':<{len(word)}} {visible(sentence)}")


def _word_of(result: Mapping[str, Any]) -> str:
    if result["status"] != "accepted":
        return "refused"
    return "warned" if "warnings" in result else "accepted"


def _validate_part(stream: str, part: Part, headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Validate a part, and yield the result of each event in the form of `POST /events/{stream}/validate`."""
    asked = Request(method="POST", path="", params={"stream": stream}, headers=headers)
    answer = connections.executor().run(pipeline.validate_events(asked, holder.current(), body=part.body))
    results = orjson.loads(answer.whole_body)["results"]
    for place, result in enumerate(results):
        line = {} if part.lines is None else {"line": part.lines[place]}
        # Left out: `id`, which only stored events have, and `index`, which counts within the part.
        yield {**line, **{name: value for name, value in result.items() if name not in ("id", "index")}}
