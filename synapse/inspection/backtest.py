"""Back-tests: run a schema on the newest real events of a type in the sandbox, and report the result line by line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.errors.streams import NoEvents
from synapse.inspection.recent_events import ScanReport, find_stream, id_with_time, scan_newest
from synapse.redis import Conversation
from synapse.redis.commands.streams import Entry
from synapse.sandbox import SchemaTrial
from synapse.schema.backtest import USUAL_EXAMPLES, Reason, Report
from synapse.schema.text_readings import Readings
from synapse.wire.encoding import DecodedEntry, other_readings, pairs, text_fields
from synapse.wire.fast_decoder import decode_parts
from synapse.wire.masking import hiding

MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The back-test of one event type: the events read, and the result.

    `active_version` is the version that events of this type are checked against now, None when these events
    are not checked.
    """

    stream: str
    event_type: str
    active_version: int | None
    scan: ScanReport
    report: Report

    @property
    def example_ids(self) -> list[str]:
        """The ids of the events that the report quotes as examples, each once."""
        return list(dict.fromkeys(each.id for reason in self.report.reasons for each in reason.examples))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON."""
        report = self.report
        return {
            "stream": self.stream,
            "event_type": self.event_type,
            "active_version": self.active_version,
            **self.scan.as_dict(),
            "refused": report.refused,
            "newly_refused": report.newly_refused,
            "refused_by_active": report.refused_by_active,
            "explained": report.explained,
            "violations": [self._violation_as_dict(reason) for reason in report.reasons],
            "more_violations": report.more_reasons,
        }

    def _violation_as_dict(self, reason: Reason) -> dict[str, Any]:
        return {
            "schema_pointer": reason.schema_pointer,
            "keyword": reason.keyword,
            "pointer": reason.pointer,
            "message": reason.message,
            "events": reason.events,
            # The newest events come first.
            "first_seen": id_with_time(reason.last),
            "last_seen": id_with_time(reason.first),
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
    candidate: SchemaTrial,
    *,
    by: Principal,
    last: int,
    examples: int = USUAL_EXAMPLES,
) -> Conversation[Tested]:
    """Check the newest events of a type, at most `last`, against a schema that is not yet a contract.

    Text fields of entries that other programs wrote are converted by the types of the candidate schema. If `by` may
    not see PII, both schemas check masked events, because testing a schema can reveal any value.

    Raises:
        UnknownStream: when no stream of this name is defined.
        NoEvents: when the type is not defined, and no event of it was found.
    """
    definition = find_stream(catalog, stream)
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
        candidate.check(
            found.id,
            decoded.event,
            as_active_reads_it=None if read is None else read.event,
            # A masked value cannot be read as another type.
            other_readings=_other_readings(found, decoded) if hide is None and read is not None else None,
        )

    types_of = {**definition.types_of, event_type: candidate.types}
    seen = yield from scan_newest(stream, event_type, last=last, types_of=types_of, see=see, hide=hide)
    if not seen.events and kind is None:
        raise NoEvents(stream, event_type, seen.scanned)
    return Tested(
        stream=stream,
        event_type=event_type,
        active_version=None if active is None else active.version,
        scan=seen,
        report=candidate.report(),
    )


def _other_readings(found: Entry, decoded: DecodedEntry) -> Mapping[str, Readings]:
    return other_readings(text_fields(pairs(found.parts)), decoded.event)


def _as_active_reads_it(stream: StreamDefinition, found: Entry, decoded: DecodedEntry) -> DecodedEntry | None:
    if decoded.layout != "foreign":
        return None
    return decode_parts(found.parts, types_of=stream.types_of)


def lines(tested: Tested, candidate: str) -> Iterator[str]:
    """Yield the lines of a report; `candidate` names the tested schema."""
    found = tested.as_dict()
    yield f"{candidate} on {tested.stream}/{tested.event_type}: {_verdict_line(found)}"
    if found["events"]:
        span = _format_span(found["oldest"], found["newest"])
        yield f"  {_format_count(found['events'], 'event')}, {span}{_format_foreign(found)}"
    yield f"  {_format_count(found['scanned'], 'entry', 'entries')} looked at{_format_stop(found)}"
    if found["events"]:
        yield f"  {_active_version_line(found)}"
    for rule in found["violations"]:
        yield ""
        yield f"  {_format_count(rule['events'], 'event')}: {rule['message']}"
        yield f"      rule      {rule['schema_pointer']}"
        yield f"      place     {rule['pointer'] or 'the event itself'}"
        yield f"      seen      {_format_span(rule['first_seen'], rule['last_seen'])}"
        yield f"      examples  {', '.join(example['id'] for example in rule['examples'])}"
    if found["more_violations"]:
        yield "  There are further reasons; these are the first that were met."
    if found["explained"] < found["refused"]:
        yield f"  The reasons are those of the newest {found['explained']:,} of the refused events."


def _verdict_line(found: dict[str, Any]) -> str:
    if not found["events"]:
        return "there are no events of this type to test it on."
    if not found["refused"]:
        return "it would refuse none."
    return f"it would refuse {found['refused']:,} of {_format_count(found['events'], 'event')}."


def _active_version_line(found: dict[str, Any]) -> str:
    if found["active_version"] is None:
        return "They are checked against no contract now."
    now = found["refused_by_active"]
    sentence = f"Version {found['active_version']}, which is active, refuses {f'{now:,}' if now else 'none'} of them"
    return f"{sentence}; {found['newly_refused']:,} would be newly refused." if found["refused"] else f"{sentence}."


def _format_span(first: dict[str, Any], last: dict[str, Any]) -> str:
    one, other = (_format_time(end) for end in (first, last))
    return one if one == other else f"{one} to {other}"


def _format_time(end: dict[str, Any]) -> str:
    time: str | None = end["time"]
    return f"the id {end['id']}" if time is None else time.replace("T", " ").replace("Z", " UTC")


def _format_foreign(found: dict[str, Any]) -> str:
    return f"; {found['foreign']:,} written by other programs" if found["foreign"] else ""


def _format_stop(found: dict[str, Any]) -> str:
    return "" if found["complete"] else f"; the search ended early, because {found['stopped']}"


def _format_count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
