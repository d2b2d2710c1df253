"""`manage.py draft_contract`: propose a schema from stored events of a type."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from streams import candidate_schemas, connections
from streams.candidate_schemas import has_contract, subject_of
from streams.management import base
from streams.management.base import AnsweringCommand, add_last
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.errors.contracts import DraftExists
from synapse.inspection import draft_from_traffic
from synapse.inspection.draft_from_traffic import Proposal

EXAMPLES = """
The schema accepts every event that it was made from. It is printed, unless it is written to a file or saved. Its
difference from the active version is printed on standard error.

  manage.py draft_contract inference-events inference-complete
  manage.py draft_contract inference-events cache-hit --last 1000 --save
"""


class Command(AnsweringCommand):
    help = "Propose a contract from the newest events of a type."
    examples = EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stream", help="a stream of the catalog")
        parser.add_argument("event_type", help="the type of the events; it need not be defined")
        add_last(parser, "how many of the newest events are looked at")
        parser.add_argument("-o", "--output", metavar="FILE", help="write the schema to this file")
        parser.add_argument("--save", action="store_true", help="make it the draft of the event type's contract")
        parser.add_argument("--replace", action="store_true", help="with --save: replace an existing draft")

    def answer(self, options: dict[str, Any]) -> int:
        output, save, replace = options["output"], options["save"], options["replace"]
        if replace and not save:
            raise CommandError("--replace goes with --save.", returncode=base.UNUSABLE)
        proposal = connections.executor().run(
            draft_from_traffic.draft_schema(
                holder.current(), options["stream"], options["event_type"], by=SYSTEM, last=options["last"]
            )
        )
        if output:
            base.write_file(output, proposal.text + "\n")
        if save:
            self._save_draft(proposal, replace=replace)
        elif not output:
            self.stdout.write(proposal.text)
        self._report_proposal(proposal)
        return 0

    def _save_draft(self, proposal: Proposal, *, replace: bool) -> None:
        subject = subject_of(proposal.stream, proposal.event_type)
        try:
            candidate_schemas.save_draft(subject, proposal.text, replace=replace, by=SYSTEM)
        except DraftExists as problem:
            raise CommandError(
                f"{problem.detail} Nothing was saved; --replace puts this in its place.", returncode=base.UNUSABLE
            ) from None
        self.say(f"Saved as the draft of “{subject}”.")
        if not has_contract(proposal.stream, proposal.event_type):
            self.say(
                f"No event type points at it: “{proposal.event_type}” events of “{proposal.stream}” stay unchecked."
            )

    def _report_proposal(self, proposal: Proposal) -> None:
        scan = proposal.scan
        events = "1 event" if scan.events == 1 else f"{scan.events:,} events"
        early = f" The search ended early: {scan.why_stopped}." if scan.stopped else ""
        self.say(f"Made from {events} of “{proposal.stream}”, {scan.scanned:,} entries looked at.{early}")
        if proposal.active is None:
            return
        if not proposal.difference:
            self.say(f"It equals version {proposal.active_version}, which is active.")
            return
        self.say(f"How it differs from version {proposal.active_version}, which is active:")
        for line in proposal.difference:
            self.say(line)
