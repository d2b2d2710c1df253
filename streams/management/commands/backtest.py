"""`manage.py backtest`: how many stored events a schema would refuse, and why."""

from typing import Any

import orjson
from django.core.management.base import CommandParser

from contracts.registry import Content
from core.templatetags.synapse import visible
from streams import candidate_schemas
from streams.candidate_schemas import event_types_of
from streams.management.base import AnsweringCommand, add_last, open_input
from synapse.auth.principal import SYSTEM
from synapse.inspection import backtest
from synapse.schema.validator import MAX_SCHEMA_BYTES

EXAMPLES = """
The newest events of every event type that points at the contract are checked against the schema, or, when no file is
named, against the contract's draft. The exit status is 0 when none would be refused, 1 when some would be, and 2 when
the schema, the subject or the events cannot be used.

  manage.py backtest inference-events.inference-complete
  manage.py backtest inference-events.inference-complete candidate.json --last 50000
"""


class Command(AnsweringCommand):
    help = "Say how many of the newest events a schema would refuse, and why."
    examples = EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", help="a contract, such as inference-events.inference-complete")
        parser.add_argument("file", nargs="?", help="the schema, - for the standard input (default: the draft)")
        add_last(parser, "how many events of each type")
        parser.add_argument("--json", action="store_true", help="print JSON, a line for each event type")

    def answer(self, options: dict[str, Any]) -> int:
        subject, file = options["subject"], options["file"]
        event_types_of(subject)  # reports an unknown subject before the schema is read
        candidate = _load_candidate(subject, file)
        name = f"The draft of “{subject}”" if file is None else "The schema" if file == "-" else file
        refused = 0
        for place, tested in enumerate(
            candidate_schemas.back_tests(subject, candidate, by=SYSTEM, last=options["last"])
        ):
            refused += tested.report.refused
            if options["json"]:
                self.stdout.write(orjson.dumps(tested.as_dict()).decode())
                continue
            for line in [*([""] if place else []), *backtest.lines(tested, name)]:
                self.stdout.write(visible(line))
        return 1 if refused else 0


def _load_candidate(subject: str, file: str | None) -> Content:
    if file is None:
        return candidate_schemas.from_draft(subject)
    with open_input(file) as schema:
        # Reading one byte more than a schema may have is enough to refuse it.
        return candidate_schemas.from_text(subject, schema.read(MAX_SCHEMA_BYTES + 1))
