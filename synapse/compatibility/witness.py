"""Finds a document that proves a difference: the writer's schema accepts it, and the reader's refuses it.

Samples of a shape are guesses: small values, and values at its limits. A value for a part is checked against the part's
own schemas before it becomes part of a document, and the validators decide at the end.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, ClassVar, Final

import jsonschema_rs

from synapse.compatibility import keywords, scalars, validators
from synapse.compatibility.arrays import WrittenArray
from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.findings import NO_WITNESS, Finding, ProverLike, WrittenNames
from synapse.compatibility.objects import WrittenObject
from synapse.compatibility.scalar_samples import numbers_of, strings_of
from synapse.compatibility.schema_model import Properties
from synapse.compatibility.shape import Shape

_MOST_VALUES = 24
_MOST_TRIES = 60
_DEEPEST = 14
_NAMES = ("other", "x", "another", "a1", "name", "zz", "0", "")


class Sampler:
    """Makes sample values of shapes. `NONE` stands for a value that was not found."""

    NONE: Final = object()
    MOST_ITEMS: ClassVar[int] = 200

    def __init__(self, prover: ProverLike) -> None:
        self._prover = prover
        self._depth = 0
        self._ones: dict[Shape, Any] = {}

    def first_value(self, shape: Shape) -> Any:
        """Return a value of the shape, or `NONE`."""
        if shape not in self._ones:
            self._ones[shape] = self.NONE
            self._ones[shape] = next(self.values(shape, most=1), self.NONE)
        return self._ones[shape]

    def values(self, shape: Shape, *, mask: int = keywords.ANY, most: int = _MOST_VALUES) -> Iterator[Any]:
        """Yield values of these types that the shape's own schemas accept."""
        if self._depth >= _DEEPEST:
            return
        self._depth += 1
        try:
            guesses = islice(self._guess_values(shape, mask), _MOST_TRIES)
            found = list(islice((value for value in guesses if self._may_be(shape, value)), most))
        finally:
            self._depth -= 1
        yield from found

    def _may_be(self, shape: Shape, value: Any) -> bool:
        self._prover.budget.spend()
        return shape.accepts(value)

    def _guess_values(self, shape: Shape, mask: int) -> Iterator[Any]:
        listed = scalars.all_of(self._prover, shape)
        if listed is not None:
            yield from (value for value in listed if keywords.kind_of(value) & mask)
            return
        for plain in islice(self._without_choices(shape), 12):
            yield from self._values_of_types(plain, plain.types & mask)

    def _without_choices(self, shape: Shape, depth: int = 0) -> Iterator[Shape]:
        """Yield shapes in which all choices are made, in different ways."""
        self._prover.budget.spend()
        if self._prover.satisfiability.is_empty(shape):
            return
        if not shape.choices or depth > 40:
            yield shape
            return
        for case in shape.cases(shape.choices[0]):
            yield from self._without_choices(case, depth + 1)

    def _values_of_types(self, shape: Shape, mask: int) -> Iterator[Any]:
        makers = (
            (keywords.OBJECT, self.objects),
            (keywords.STRING, self.strings),
            (keywords.NUMBER, self.numbers),
            (keywords.ARRAY, self.arrays),
        )
        found: list[Iterator[Any]] = [iter(maker(shape)) for kind, maker in makers if mask & kind]
        if mask & keywords.BOOLEAN:
            found.append(iter((True, False)))
        if mask & keywords.NULL:
            found.append(iter((None,)))
        # Alternates between the types.
        while found:
            for maker in list(found):
                value = next(maker, self.NONE)
                if value is self.NONE:
                    found.remove(maker)
                elif keywords.kind_of(value) & mask:
                    yield value

    def numbers(self, shape: Shape, *, near: float | None = None) -> Iterator[Any]:
        """Yield numbers, beginning with those near a bound."""
        return numbers_of(shape, near)

    def strings(self, shape: Shape, *, near: int | None = None) -> Iterator[Any]:
        """Yield strings, beginning with those of a length near `near`."""
        return strings_of(shape, near)

    def arrays(
        self,
        shape: Shape,
        *,
        at: Mapping[int, Any] | None = None,
        each: Shape | None = None,
        length: int | None = None,
    ) -> Iterator[list[Any]]:
        """Yield arrays with given items at some indexes (`at`), all items of a further shape (`each`), of a given
        length.
        """
        given = at or {}
        for plain in islice(self._without_choices(shape), 4) if shape.choices else (shape,):
            written = WrittenArray(self._prover, plain)
            shortest = max(written.least, max(given, default=-1) + 1, *(it.least for it in written.contains), 0)
            lengths = [length] if length is not None else [shortest, shortest + 1, written.tail, written.most or 0]
            for size in dict.fromkeys(lengths):
                if shortest <= size <= self.MOST_ITEMS or (length is not None and 0 <= size <= self.MOST_ITEMS):
                    items = self._make_items(written, given, each, size)
                    if items is not None:
                        yield items

    def _make_items(
        self, written: WrittenArray, given: Mapping[int, Any], each: Shape | None, size: int
    ) -> list[Any] | None:
        wanted = [node for it in written.contains for node in [it.node] * it.least]
        items: list[Any] = []
        for index in range(size):
            if index in given:
                items.append(given[index])
                continue
            part = written.part(index)
            if wanted:
                part = part.also(wanted.pop(0))
            if each is not None:
                part = part.also(*each.nodes, never=each.refused_by)
            pick = self._new_value(part, items) if written.are_unique else self.first_value(part)
            if pick is self.NONE:
                return None
            items.append(pick)
        return items

    def _new_value(self, part: Shape, items: list[Any]) -> Any:
        return next((value for value in self.values(part) if value not in items), self.NONE)

    def doubles(self, shape: Shape) -> Iterator[list[Any]]:
        """Return arrays with two equal items."""
        written = WrittenArray(self._prover, shape)
        second = written.part(0).also(*written.part(1).nodes)
        for value in islice(self.values(second), 3):
            yield from self.arrays(shape, at={0: value, 1: value})

    def objects(
        self,
        shape: Shape,
        *,
        given: Mapping[str, Any] | None = None,
        having: Iterable[str] = (),
        without: Iterable[str] = (),
        count: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield objects with given values, having and lacking some names, with `count` properties; small ones first."""
        given, having, lacking = given or {}, list(having), set(without)
        for plain in islice(self._without_choices(shape), 6) if shape.choices else (shape,):
            written = WrittenObject(self._prover, plain)
            needed = list(written.with_dependents([*written.required, *given, *having]))
            if not lacking.isdisjoint(needed):
                continue
            spare = [name for name in written.known if name not in needed and name not in lacking]
            sizes = [count] if count is not None else [max(len(needed), written.least), len(needed) + len(spare)]
            for size in dict.fromkeys(sizes):
                made = self._make_object(written, needed, spare, given, min(size, self.MOST_ITEMS))
                if made is not None:
                    yield made
            if count is None and not given and not having:
                yield from self._objects_with_each_value(written, needed, spare)

    def _objects_with_each_value(
        self, written: WrittenObject, needed: list[str], spare: list[str]
    ) -> Iterator[dict[str, Any]]:
        for name in islice(chain(needed, spare), _MOST_VALUES):
            for value in islice(self.values(written.part(name)), 1, 4):
                made = self._make_object(written, needed, [], {name: value}, len(needed))
                if made is not None:
                    yield made

    def _make_object(
        self, written: WrittenObject, needed: list[str], spare: list[str], given: Mapping[str, Any], size: int
    ) -> dict[str, Any] | None:
        made: dict[str, Any] = {}
        for name in needed:
            value = given[name] if name in given else self.first_value(written.part(name))
            if value is self.NONE:
                return None
            made[name] = value
        for name in chain(spare, self._unknown_names(written, size - len(needed))):
            if len(made) >= size:
                break
            value = self.first_value(written.part(name))
            if value is not self.NONE and name not in made:
                made[name] = value
        return {**made, **given}

    def _unknown_names(self, written: WrittenObject, count: int) -> Iterator[str]:
        """Yield names for properties that no schema mentions."""
        for pattern in (*written.patterns, None):
            yield from self.names(written, pattern, None)
        if not written.names:
            yield from (f"x{number}" for number in range(count))

    def names(self, written: WrittenNames, pattern: str | None, avoiding: Properties | None) -> Iterator[str]:
        """Yield names that match a pattern, or without a pattern names that neither schema mentions."""
        shape = written.name(pattern)
        candidates = self.values(shape) if pattern or written.names else iter(_NAMES)
        known = {} if pattern else written.known
        for name in islice(candidates, 8):
            if name in known or (avoiding and name in avoiding.named):
                continue
            if not pattern and any(validators.text_matches(it, name) for it in written.patterns):
                continue
            if avoiding and any(validators.text_matches(it, name) for it in avoiding.patterns):
                continue
            yield name


_MOST_CANDIDATES = 80
_MOST_SHRINKS = 120
_COST_OF_A_CANDIDATE = 2


class WitnessVerifier:
    """Finds documents that the writer's validator accepts and the reader's refuses."""

    def __init__(self, writer: jsonschema_rs.Validator, reader: jsonschema_rs.Validator, budget: Budget) -> None:
        self._writer = writer
        self._reader = reader
        self._budget = budget

    def is_proof(self, document: Any) -> bool:
        """Say whether the writer's schema accepts the document and the reader's refuses it."""
        self._budget.spend(_COST_OF_A_CANDIDATE)
        accepted = validators.accepts(self._writer, document)
        return accepted is True and validators.accepts(self._reader, document) is False

    def find_witness(self, finding: Finding, sampler: Sampler) -> Any:
        """Return a small witness for a finding, or `NO_WITNESS` when none is found in time."""
        try:
            for document in islice(finding.candidates(sampler), _MOST_CANDIDATES):
                if self.is_proof(document):
                    return self._shrink(document)
        except (OutOfBudget, RecursionError):
            return NO_WITNESS
        return NO_WITNESS

    def _shrink(self, document: Any) -> Any:
        """Remove parts of the document that the proof does not need."""
        tries = 0
        smaller = _smaller_values(document)
        while (candidate := next(smaller, NO_WITNESS)) is not NO_WITNESS and tries < _MOST_SHRINKS:
            tries += 1
            try:
                is_proof = self.is_proof(candidate)
            except OutOfBudget:
                break
            if is_proof:
                document, smaller = candidate, _smaller_values(candidate)
        return document


def _smaller_values(value: Any) -> Iterator[Any]:
    """Yield the value without one of its parts, for each part."""
    if isinstance(value, dict):
        for name in value:
            yield {other: it for other, it in value.items() if other != name}
        for name, part in value.items():
            yield from ({**value, name: smaller} for smaller in _smaller_values(part))
    elif isinstance(value, list):
        yield from (value[:index] + value[index + 1 :] for index in range(len(value)))
        for index, part in enumerate(value):
            yield from ([*value[:index], smaller, *value[index + 1 :]] for smaller in chain(_smaller_values(part)))
