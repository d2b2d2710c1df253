"""The parts of a schema that lead to values marked as PII.

Many parts of a schema can describe a place of an event at once: those of `allOf`, the targets of a `$ref`, each form of
an `anyOf`. So all of them are followed together, as the validator could: `Marks` are the parts that describe one place.
A recursive schema leads to the same marks again, which are cached.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from synapse.schema.jsonschema_engine import validator_for
from synapse.schema.references import CannotFollow, ReferenceResolver, mapping_of

MARK = "x-pii"
# A place described by more parts or patterns than this, or in a schema with more kinds of places, counts as PII as a
# whole, because showing one event must not take minutes.
MOST_PARTS, MOST_PATTERNS, MOST_MARKS = 200, 50, 1000
# The number of cached results of patterns: the names in events repeat.
_MOST_ANSWERS = 10_000

_SAME_PLACE = (
    *("allOf", "anyOf", "oneOf"),
    *("not", "if", "then", "else", "contentSchema", "dependentSchemas", "dependencies"),
)
_OF_ITEMS = ("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains")
_OF_NAMES = ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties")
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})

_Part = Mapping[str, Any]
_MARKED: _Part = {MARK: True}


class Marks:
    """The PII marks of a schema for one place of an event. `is_personal`: everything at the place is PII."""

    __slots__ = ("_known", "_parts", "_schema", "has_items", "has_names", "is_personal")

    def __init__(self, schema: "_Schema", parts: tuple[_Part, ...], *, is_personal: bool) -> None:
        self._schema = schema
        self._parts = parts
        self._known: dict[str, Marks | None] = {}
        self.is_personal = is_personal
        self.has_names = any(schema.leads_on(part, _OF_NAMES) for part in parts)
        self.has_items = any(schema.leads_on(part, _OF_ITEMS) for part in parts)

    def of_name(self, name: str) -> "Marks | None":
        """Return the marks of a property, None when it holds no PII."""
        if name in self._known:
            return self._known[name]
        found = self._schema.marks(each for part in self._parts for each in self._schema.of_name(part, name))
        # The schema's own names are few and cached; names in events may be anything, and are not.
        if any(name in mapping_of(part.get("properties")) for part in self._parts):
            self._known[name] = found
        return found

    @property
    def source(self) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
        """The schema with the marks, and the schemas that its `$ref` may name."""
        return self._schema.source

    @property
    def everything(self) -> "Marks":
        """The marks of a place that cannot be resolved: all of it counts as PII."""
        return self._schema.everything

    def of_item(self, number: int) -> "Marks | None":
        """Return the marks of an item, None when it holds no PII."""
        return self._schema.marks(each for part in self._parts for each in _of_item(part, number))


def marks_of(resolver: ReferenceResolver) -> Marks | None:
    """Return the marks of a schema for an event, None when no part of the event is PII.

    A schema without a mark, in itself and in the schemas that its `$ref`s name, costs only a search of its text.
    """
    if not any(map(_mentions_mark, (resolver.root, *resolver.documents.values()))):
        return None
    return _Schema(resolver).marks([resolver.root])


class _Schema:
    """The parts of a schema, and those that lead to a mark."""

    def __init__(self, resolver: ReferenceResolver) -> None:
        self.source = resolver.given
        self._resolver = resolver
        self._leading = self._ids_leading_to_marks(resolver.root)
        self._marks: dict[frozenset[int], Marks] = {}
        self._patterns: dict[str, jsonschema_rs.Validator] = {}
        self._answers: dict[tuple[str, str], bool] = {}
        self.everything = Marks(self, (), is_personal=True)

    def marks(self, parts: Iterable[Any]) -> Marks | None:
        """Return the marks that these parts together give to one place."""
        found: dict[int, _Part] = {}
        waiting = [part for part in parts if id(part) in self._leading]
        while waiting:
            part = waiting.pop()
            if id(part) not in found:
                found[id(part)] = part
                waiting += [each for each in self._same_place(part) if id(each) in self._leading]
            if len(found) > MOST_PARTS:
                return self.everything
        if not found:
            return None
        patterns = sum(len(mapping_of(part.get("patternProperties"))) for part in found.values())
        if patterns > MOST_PATTERNS or any(map(_is_marked, found.values())):
            return self.everything
        key = frozenset(found)
        if key not in self._marks:
            if len(self._marks) == MOST_MARKS:
                return self.everything
            self._marks[key] = Marks(self, tuple(found.values()), is_personal=False)
        return self._marks[key]

    def of_name(self, part: _Part, name: str) -> Iterator[Any]:
        """Yield the subschemas of a part that apply to a property."""
        named = mapping_of(part.get("properties"))
        if name in named:
            yield named[name]
        matching = [
            each for pattern, each in mapping_of(part.get("patternProperties")).items() if self._matches(pattern, name)
        ]
        yield from matching
        if name not in named:
            # It is not known here which properties other keywords evaluate.
            yield part.get("unevaluatedProperties")
            if not matching:
                yield part.get("additionalProperties")

    def leads_on(self, part: _Part, words: Iterable[str]) -> bool:
        """Say whether a part below these keywords of a part leads to a mark."""
        return any(id(each) in self._leading for word in words for each in _parts_below(part, word))

    def _matches(self, pattern: str, name: str) -> bool:
        if (answer := self._answers.get((pattern, name))) is not None:
            return answer
        # With the engine that checks events: it takes linear time and decides alike.
        found = self._patterns.get(pattern)
        if found is None:
            found = self._patterns[pattern] = validator_for(
                {"$schema": self._resolver.root["$schema"], "pattern": pattern}
            )
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.clear()
        answer = self._answers[pattern, name] = found.is_valid(name)
        return answer

    def _same_place(self, part: _Part) -> Iterator[Any]:
        for word in _SAME_PLACE:
            yield from _parts_below(part, word)
        try:
            targets = self._resolver.possible_targets(part)
        except CannotFollow:
            # The marks at the target cannot be known, so the place is PII as a whole.
            yield _MARKED
            return
        yield from (target.schema for target in targets)

    def _ids_leading_to_marks(self, document: _Part) -> frozenset[int]:
        """Return the ids of the parts from which a mark can be reached."""
        above: dict[int, list[int]] = {}
        marked: list[int] = []
        waiting: list[Any] = [document]
        seen = {id(document)}
        while waiting:
            part = waiting.pop()
            if _is_marked(part):
                marked.append(id(part))
            for each in self._next_parts(part):
                above.setdefault(id(each), []).append(id(part))
                if id(each) not in seen:
                    seen.add(id(each))
                    waiting.append(each)
        leading: set[int] = set()
        while marked:
            key = marked.pop()
            if key not in leading:
                leading.add(key)
                marked += above.get(key, ())
        return frozenset(leading)

    def _next_parts(self, part: _Part) -> Iterator[_Part]:
        below = (each for word in (*_OF_NAMES, *_OF_ITEMS) for each in _parts_below(part, word))
        for group in (self._same_place(part), below):
            yield from (each for each in group if isinstance(each, Mapping))


def _parts_below(part: _Part, word: str) -> Iterator[Any]:
    held = part.get(word)
    if isinstance(held, list):
        yield from held
    elif word in _NAMED:
        yield from mapping_of(held).values()
    elif held is not None:
        yield held


def _of_item(part: _Part, number: int) -> Iterator[Any]:
    for word in _OF_ITEMS:
        held = part.get(word)
        if not isinstance(held, list):
            # The keyword excludes the items before it, but these cannot be distinguished here: the mark counts for all
            # items.
            yield held
        elif number < len(held):
            yield held[number]


def _is_marked(part: _Part) -> bool:
    return part.get(MARK) not in (None, False)


def _mentions_mark(document: Any) -> bool:
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if MARK in node:
                return True
            waiting += node.values()
    return False
