"""PII marks by stream: the marks of contracts, assigned to the event types that they apply to.

An event type has the marks of every version of the contract that it points at, and of the contract whose subject is its
own (`<stream>.<type>`), whether or not it still points there or is still defined. So no change of definitions unmasks
events published before it; only deleting versions for good does.
"""

from collections.abc import Iterable, Iterator, Mapping

from django.db.models import Q

from contracts import registry
from contracts.models import ContractVersion, Schema
from streams.models import EventType
from synapse.schema.pii import MARK, Marks
from synapse.schema.validator import CompiledSchema

# By stream, by event type.
MarksOf = Mapping[str, Mapping[str, tuple[Marks, ...]]]
_AT_ONCE = 500


class MarkReader:
    """Reads the marks of all contracts, each schema once: the text of a schema id never changes."""

    def __init__(self) -> None:
        self._known: dict[int, Marks | None] = {}

    def forget(self) -> None:
        """Drop the marks that were read."""
        self._known.clear()

    def read(self, compiled: Mapping[int, CompiledSchema]) -> MarksOf:
        """Return the PII marks of each stream. Schemas in `compiled` are not compiled again."""
        by_subject = self._by_subject(compiled)
        found: dict[str, dict[str, dict[int, Marks]]] = {}
        for subject, stream, event_type in (*_pointing(by_subject), *_owning(by_subject)):
            there = found.setdefault(stream, {}).setdefault(event_type, {})
            there.update({id(marks): marks for marks in by_subject[subject]})
        return {
            stream: {event_type: tuple(marks.values()) for event_type, marks in types.items()}
            for stream, types in found.items()
        }

    def _by_subject(self, compiled: Mapping[int, CompiledSchema]) -> dict[str, list[Marks]]:
        rows = list(
            ContractVersion.objects.filter(schema__isnull=False)
            .order_by("contract", "number")
            .values_list("contract__subject", "schema_id")
        )
        self._learn({schema_id for _, schema_id in rows if schema_id is not None}, compiled)
        found: dict[str, list[Marks]] = {}
        for subject, schema_id in rows:
            if schema_id is not None and (marks := self._known[schema_id]) is not None:
                found.setdefault(subject, []).append(marks)
        return found

    def _learn(self, schema_ids: set[int], compiled: Mapping[int, CompiledSchema]) -> None:
        new = sorted(schema_ids - self._known.keys())
        for begin in range(0, len(new), _AT_ONCE):
            some = new[begin : begin + _AT_ONCE]
            # Most schemas mark nothing, which the database can tell: JSON may write the mark with escapes.
            may_mark = Q(text__contains=MARK) | Q(text__contains="\\u") | Q(referring__isnull=False)
            for schema in Schema.objects.filter(may_mark, pk__in=some).distinct():
                known = compiled.get(schema.pk)
                self._known[schema.pk] = registry.marks(schema) if known is None else known.personal
            for schema_id in some:
                self._known.setdefault(schema_id, None)


def _pointing(subjects: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the contract subjects with the stream and the name of each event type that uses them."""
    rows = EventType.objects.order_by().values_list("contract__subject", "stream__name", "name")
    known = frozenset(subjects)
    yield from ((subject, stream, name) for subject, stream, name in rows if subject in known)


def _owning(subjects: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the event types whose own subject is given. Names may contain dots, so one subject can have several."""
    for subject in subjects:
        for place, character in enumerate(subject):
            if character == ".":
                yield subject, subject[:place], subject[place + 1 :]
