"""The questions to the sandbox."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from synapse.compatibility import CompatibilityResult, Difference, Direction, EarlierVersion, Mode, Policy
from synapse.errors.contracts import SandboxBusy, SchemaTooCostly, TooCostly
from synapse.sandbox.messages import UNKNOWN_SCHEMA
from synapse.sandbox.process import BACK_TESTS, EVENTS, QUESTIONS, Session
from synapse.schema.backtest import Example, Reason, Report
from synapse.schema.pii import Marks, pii_texts, redacted
from synapse.schema.text_readings import Readings
from synapse.schema.validator import CompiledSchema
from synapse.schema.violations import Violation

Document = Mapping[str, Any]
Documents = Mapping[str, Document]

# The number of events that are sent together.
_AT_ONCE = 200
# A child that has just learned a schema may be replaced before the next question, so it is tried more than once.
_ATTEMPTS = 3


def check_schema(document: Document, references: Documents) -> None:
    """Check that a schema can be a contract's. `references` are the schemas that its `$ref` may name.

    Raises:
        BadSchema: when it cannot be one.
        SandboxBusy: when too many callers wait.
    """
    QUESTIONS.ask("check_schema", document, references)


def compare(
    document: Document,
    earlier: Sequence[EarlierVersion],
    *,
    mode: Mode,
    policy: Policy,
    references: Documents,
) -> CompatibilityResult:
    """Return whether a schema may follow the earlier ones, as `synapse.compatibility.check` does.

    Raises:
        SchemaTooCostly: when that takes too much time or memory.
        SandboxBusy: when too many callers wait.
    """
    versions = [{"version": each.version, "document": each.document, "references": each.references} for each in earlier]
    options = {"mode": mode, "policy": policy}
    answer = QUESTIONS.ask("compare", document, references, versions, options)
    return CompatibilityResult(
        is_compatible=answer["is_compatible"],
        differences=tuple(_parse_difference(each) for each in answer["differences"]),
        allowed=tuple(_parse_difference(each) for each in answer["allowed"]),
    )


def obstacle(document: Document, references: Documents) -> str | None:
    """Return the reason why a schema cannot be compared with others, so that no version could follow it. Return None
    when it can.

    Raises:
        SchemaTooCostly: when that takes too much time or memory.
        SandboxBusy: when too many callers wait.
    """
    reason: str | None = QUESTIONS.ask("obstacle", document, references)
    return reason


class SchemaTrial:
    """A trial of a schema on events, in the child process. `types` are the types of its top-level properties."""

    def __init__(self, session: Session, document: Document, references: Documents) -> None:
        self._session = session
        types = session.ask("begin_trial", document, references)
        self.types: Mapping[str, frozenset[str]] = {name: frozenset(each) for name, each in types.items()}
        self._marks: Sequence[Marks] = ()
        self._waiting: list[tuple[str, Any, Any, Mapping[str, Readings] | None]] = []
        self._impersonal: dict[tuple[str, str], str] = {}

    def begin(self, *, active: CompiledSchema | None, examples: int, marks: Sequence[Marks]) -> None:
        """Begin a test, in comparison with the active schema. Values that `marks` mark as PII are left out of the
        report.
        """
        schema = None if active is None else [active.document, active.references]
        self._session.ask("begin_test", schema, examples)
        self._marks = marks
        self._waiting.clear()
        self._impersonal.clear()

    def check(
        self,
        id_: str,
        event: Any,
        *,
        as_active_reads_it: Any = None,
        other_readings: Mapping[str, Readings] | None = None,
    ) -> None:
        """Check one event, in the reading that the schema accepts if it has `other_readings`.

        The active version checks `as_active_reads_it` instead, when that differs.
        """
        self._waiting.append((id_, event, as_active_reads_it, other_readings))
        if len(self._waiting) >= _AT_ONCE:
            self._flush()

    def report(self) -> Report:
        """Return the result for the events so far."""
        self._flush()
        answer = self._session.ask("report")
        reasons = [self._parse_reason(each) for each in answer.pop("reasons")]
        return Report(**answer, reasons=reasons)

    def _flush(self) -> None:
        events, self._waiting = self._waiting, []
        if not events:
            return
        for place, id_, message in self._session.ask("look", events):
            shown = message
            for marks in self._marks:
                shown = redacted(shown, pii_texts(events[place][1], marks))
            self._impersonal[id_, message] = shown

    def _parse_reason(self, found: dict[str, Any]) -> Reason:
        examples = [
            Example(**{**each, "message": self._impersonal[each["id"], each["message"]]})
            for each in found.pop("examples")
        ]
        return Reason(**{**found, "message": examples[0].message}, examples=tuple(examples))


@contextmanager
def open_trial(document: Document, references: Documents) -> Iterator[SchemaTrial]:
    """Open a trial of a schema on events, for the duration of the block.

    Raises:
        BadSchema: when the schema cannot be a contract.
        SandboxBusy: when too many callers wait.
    """
    with BACK_TESTS.session() as session:
        yield SchemaTrial(session, document, references)


def check_event(schema: CompiledSchema, event: Any, *, explain: bool = True) -> list[Violation] | None:
    """Return an event's violations of a registered schema, None when it is valid, as `CompiledSchema.check` does.

    Raises:
        TooCostly: when that takes too much time or memory.
        SandboxBusy: when too many callers wait.
    """
    for _ in range(_ATTEMPTS):
        try:
            found = EVENTS.ask("check_event", schema.fingerprint, event, explain)
            if found != UNKNOWN_SCHEMA:
                return None if found is None else [Violation(**each) for each in found]
            # With a new budget: transferring the schema must not count against the event.
            EVENTS.ask("learn", schema.fingerprint, schema.document, schema.references)
        except SchemaTooCostly:
            raise TooCostly from None
    raise SandboxBusy


def _parse_difference(found: dict[str, Any]) -> Difference:
    return Difference(**{**found, "direction": Direction(found["direction"])})
