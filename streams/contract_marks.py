"""The PII marks of all contracts by stream and event type, and the rows of the catalog that they follow from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from django.db.models import Q

from contracts import registry
from contracts.models import ContractVersion, Schema
from streams.models import EventType
from synapse.schema.pii import MARK, Marks
from synapse.schema.validator import CompiledSchema

# The PII marks of contracts, by stream and event type.
MarksOf = Mapping[str, Mapping[str, tuple[Marks, ...]]]
_AT_ONCE = 500


class VersionRow(NamedTuple):
    """A version of a contract that is no draft, so that it has a number and a schema."""

    contract_id: int
    subject: str
    number: int
    schema_id: int
    is_deleted: bool
    is_active: bool


class EventTypeRow(NamedTuple):
    """An event type."""

    stream_id: int
    stream: str
    name: str
    contract_id: int | None
    owner: str
    runbook: str
    labels: Mapping[str, str]


def version_rows() -> list[VersionRow]:
    """Return all versions, those of one contract by their numbers."""
    rows = (
        ContractVersion.objects.filter(schema__isnull=False)
        .order_by("contract", "number")
        .values_list("contract_id", "contract__subject", "number", "schema_id", "state", "deleted_at")
    )
    return [
        VersionRow(
            contract_id=contract_id,
            subject=subject,
            number=number,
            schema_id=schema_id,
            is_deleted=deleted_at is not None,
            is_active=state == ContractVersion.State.ACTIVE and deleted_at is None,
        )
        for contract_id, subject, number, schema_id, state, deleted_at in rows
        if number is not None and schema_id is not None
    ]


def event_type_rows() -> list[EventTypeRow]:
    """Return all event types."""
    columns = ("stream_id", "stream__name", "name", "contract_id", "owner", "runbook", "labels")
    return [EventTypeRow(*row) for row in EventType.objects.values_list(*columns)]


class MarkReader:
    """Reads the PII marks of all contracts. Each schema is read once, because the text of a schema id never changes.

    An event type has the marks of every version of its contract, and of the contract with its own subject
    (`<stream>.<type>`), even if it no longer uses that contract or is no longer defined. So no change of definitions
    unmasks events published before; only deleting versions for good does.
    """

    def __init__(self) -> None:
        self._known: dict[int, Marks | None] = {}

    def forget(self) -> None:
        """Drop the marks that were read."""
        self._known.clear()

    def read(
        self,
        versions: Sequence[VersionRow],
        event_types: Sequence[EventTypeRow],
        compiled: Mapping[int, CompiledSchema],
    ) -> MarksOf:
        """Return the PII marks of each stream. Schemas in `compiled` are not compiled again."""
        by_subject = self._by_subject(versions, compiled)
        found: dict[str, dict[str, dict[int, Marks]]] = {}
        for subject, stream, event_type in (*_types_using(versions, event_types), *_types_owning(by_subject)):
            if subject in by_subject:
                there = found.setdefault(stream, {}).setdefault(event_type, {})
                there.update({id(marks): marks for marks in by_subject[subject]})
        return {
            stream: {event_type: tuple(marks.values()) for event_type, marks in types.items()}
            for stream, types in found.items()
        }

    def _by_subject(
        self, versions: Sequence[VersionRow], compiled: Mapping[int, CompiledSchema]
    ) -> dict[str, list[Marks]]:
        self._read_missing({version.schema_id for version in versions}, compiled)
        found: dict[str, list[Marks]] = {}
        for version in versions:
            if (marks := self._known[version.schema_id]) is not None:
                found.setdefault(version.subject, []).append(marks)
        return found

    def _read_missing(self, schema_ids: set[int], compiled: Mapping[int, CompiledSchema]) -> None:
        new = sorted(schema_ids - self._known.keys())
        for begin in range(0, len(new), _AT_ONCE):
            some = new[begin : begin + _AT_ONCE]
            # The database excludes the many schemas without marks. JSON may write the mark with \u escapes.
            may_mark = Q(text__contains=MARK) | Q(text__contains="\\u") | Q(referring__isnull=False)
            for schema in Schema.objects.filter(may_mark, pk__in=some).distinct():
                known = compiled.get(schema.pk)
                self._known[schema.pk] = registry.marks_of(schema) if known is None else known.personal
            for schema_id in some:
                self._known.setdefault(schema_id, None)


def _types_using(versions: Iterable[VersionRow], event_types: Iterable[EventTypeRow]) -> Iterator[tuple[str, str, str]]:
    """Yield the subject, stream and name for each event type that uses one of the contracts."""
    subjects = {version.contract_id: version.subject for version in versions}
    for row in event_types:
        if row.contract_id in subjects:
            yield subjects[row.contract_id], row.stream, row.name


def _types_owning(subjects: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the subject, stream and name for each possible event type with that subject as its own: names may contain
    dots, so there can be several.
    """
    for subject in subjects:
        for place, character in enumerate(subject):
            if character == ".":
                yield subject, subject[:place], subject[place + 1 :]
