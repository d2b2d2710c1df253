"""Back-tests: what a schema would say of the newest real events of a type. No Django; the sandbox looks at events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.errors.streams import NoEvents
from synapse.inspection.recent_events import (
    Walk,
    defined,
    shown_id,
    walk,
)
from synapse.redis.commands.base import Conversation
from synapse.redis.commands.streams import Entry
from synapse.sandbox import Trial
from synapse.schema.backtest import USUAL_EXAMPLES, Reason, Report
from synapse.schema.text_readings import Readings
from synapse.wire import entry, fast_decoder
from synapse.wire.entry import DecodedEntry
from synapse.wire.masking import hiding

MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A back-test of one event type: what was looked at, and what was found.

    `active_version` is the version that its events are checked against now, None when they are not.
    """

    stream: str
    event_type: str
    active_version: int | None
    walk: Walk
    report: Report

    @property
    def example_ids(self) -> list[str]:
        """The ids of the events that stand in the report as examples, each once."""
        return list(dict.fromkeys(each.id for reason in self.report.reasons for each in reason.examples))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        report = self.report
        return {
            "stream": self.stream,
            "event_type": self.event_type,
            "active_version": self.active_version,
            **self.walk.as_dict(),
            "refused": report.refused,
            "newly_refused": report.newly_refused,
            "refused_by_active": report.refused_by_active,
            "explained": report.explained,
            "violations": [self._violation(reason) for reason in report.reasons],
            "more_violations": report.more_reasons,
        }

    def _violation(self, reason: Reason) -> dict[str, Any]:
        return {
            "schema_pointer": reason.schema_pointer,
            "keyword": reason.keyword,
            "pointer": reason.pointer,
            "message": reason.message,
            "events": reason.events,
            # The newest events come first.
            "first_seen": shown_id(reason.last),
            "last_seen": shown_id(reason.first),
            "examples": [
                {
                    "id": example.id,
                    "pointer": example.pointer,
                    "message": example.message,
                    "path": f"/streams/{self.stream}/messages/{example.id}",
                }
                for example in reason.examples
            ],
        }


def back_test(
    catalog: Snapshot,
    stream: str,
    event_type: str,
    candidate: Trial,
    *,
    by: Principal,
    last: int,
    examples: int = USUAL_EXAMPLES,
) -> Conversation[Tested]:
    """Check the newest events of a type, at most `last`, against a schema that is no contract yet.

    Entries of other programs, whose fields are text, are read by the types that the schema in question names. Where
    `by` may not see what is personal, both schemas judge masked events: a schema is a question about each value.

    Raises:
        UnknownStream: when no stream of this name is defined.
        NoEvents: when the type is not defined, and no such event was found either.
        NotAStream, Unavailable: as their names say.
    """
    definition = defined(catalog, stream)
    kind = definition.event_types.get(event_type)
    active = None if kind is None else kind.contract
    candidate.begin(
        active=None if active is None else active.schema,
        examples=min(examples, MOST_EXAMPLES),
        marks=definition.marks.get(event_type, ()),
    )
    hide = hiding(definition, by.rights)

    def see(found: Entry, decoded: DecodedEntry) -> None:
        read = _as_active_reads_it(definition, found, decoded)
        if read is not None and hide is not None:
            read = hide(read)
        candidate.look(
            found.id,
            decoded.event,
            as_active_reads_it=None if read is None else read.event,
            # What is masked is in no reading.
            other_readings=_other_readings(found, decoded) if hide is None and read is not None else None,
        )

    types_of = {**definition.types_of, event_type: candidate.types}
    seen = yield from walk(stream, event_type, last=last, types_of=types_of, see=see, hide=hide)
    if not seen.events and kind is None:
        raise NoEvents(stream, event_type, seen.scanned)
    return Tested(
        stream=stream,
        event_type=event_type,
        active_version=None if active is None else active.version,
        walk=seen,
        report=candidate.report(),
    )


def _other_readings(found: Entry, decoded: DecodedEntry) -> Mapping[str, Readings]:
    return entry.other_readings(entry.text_fields(entry.pairs(found.parts)), decoded.event)


def _as_active_reads_it(stream: StreamDefinition, found: Entry, decoded: DecodedEntry) -> DecodedEntry | None:
    if decoded.layout != "foreign":
        return None
    return fast_decoder.decode_parts(found.parts, types_of=stream.types_of)
