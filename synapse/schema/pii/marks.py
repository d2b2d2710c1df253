"""The parts of a schema that lead to values marked as PII.

A place of an event can be described by many parts of a schema at once: by `allOf`, by all that a `$ref` leads to, by
each form of an `anyOf`. So we walk as the validator could, with all of them together: `Marks` are the parts that
describe one place. A schema that means itself comes back to the same marks, which are kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from synapse.schema.jsonschema_engine import validator_for
from synapse.schema.references import CannotFollow, ReferenceResolver, mapping_of

MARK = "x-pii"
# A place that more parts or patterns describe than this, or a schema with more kinds of places, counts as PII as a
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
        """Return the marks of a property; None when it holds no PII."""
        if name in self._known:
            return self._known[name]
        found = self._schema.marks(each for part in self._parts for each in self._schema.of_name(part, name))
        # Names of the schema's own are few; those of events may be anything, and are not kept.
        if any(name in mapping_of(part.get("properties")) for part in self._parts):
            self._known[name] = found
        return found

    @property
    def source(self) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
        """The schema that holds the marks, and the schemas that its `$ref` may name."""
        return self._schema.source

    @property
    def everything(self) -> "Marks":
        """The marks of a place that cannot be resolved: everything there counts as PII."""
        return self._schema.everything

    def of_item(self, number: int) -> "Marks | None":
        """Return the marks of an item; None when it holds no PII."""
        return self._schema.marks(each for part in self._parts for each in _of_item(part, number))


def marks_of(resolver: ReferenceResolver) -> Marks | None:
    """Return the marks of a schema for an event; None when no part of the event is PII.

    A schema without a mark, in itself and in the schemas that its `$ref` name, costs only a search of its text.
    """
    if not any(map(_mentions, (resolver.root, *resolver.documents.values()))):
        return None
    return _Schema(resolver).marks([resolver.root])


class _Schema:
    """The parts of a schema, and which of them lead to a mark."""

    def __init__(self, resolver: ReferenceResolver) -> None:
        self.source = resolver.given
        self._resolver = resolver
        self._leading = self._that_lead(resolver.root)
        self._marks: dict[frozenset[int], Marks] = {}
        self._patterns: dict[str, jsonschema_rs.Validator] = {}
        self._answers: dict[tuple[str, str], bool] = {}
        self.everything = Marks(self, (), is_personal=True)

    def marks(self, parts: Iterable[Any]) -> Marks | None:
        """Return the marks that these parts together give one place."""
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
            each for pattern, each in mapping_of(part.get("patternProperties")).items() if self._fits(pattern, name)
        ]
        yield from matching
        if name not in named:
            # The properties evaluated elsewhere are not known here.
            yield part.get("unevaluatedProperties")
            if not matching:
                yield part.get("additionalProperties")

    def leads_on(self, part: _Part, words: Iterable[str]) -> bool:
        """Say whether something below these words of a part leads to a mark."""
        return any(id(each) in self._leading for word in words for each in _below(part, word))

    def _fits(self, pattern: str, name: str) -> bool:
        if (answer := self._answers.get((pattern, name))) is not None:
            return answer
        # By the engine that checks events: linear, and of the same opinion.
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
            yield from _below(part, word)
        try:
            targets = self._resolver.possible_targets(part)
        except CannotFollow:
            # The marks there cannot be known, so all of it is PII.
            yield _MARKED
            return
        yield from (target.schema for target in targets)

    def _that_lead(self, document: _Part) -> frozenset[int]:
        """Return the parts from which a mark can be reached, by their identities."""
        above: dict[int, list[int]] = {}
        marked: list[int] = []
        waiting: list[Any] = [document]
        seen = {id(document)}
        while waiting:
            part = waiting.pop()
            if _is_marked(part):
                marked.append(id(part))
            for each in self._next(part):
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

    def _next(self, part: _Part) -> Iterator[_Part]:
        below = (each for word in (*_OF_NAMES, *_OF_ITEMS) for each in _below(part, word))
        for group in (self._same_place(part), below):
            yield from (each for each in group if isinstance(each, Mapping))


def _below(part: _Part, word: str) -> Iterator[Any]:
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
            # The items before it, which it does not mean, cannot be told from the rest: the mark counts for all.
            yield held
        elif number < len(held):
            yield held[number]


def _is_marked(part: _Part) -> bool:
    return part.get(MARK) not in (None, False)


def _mentions(document: Any) -> bool:
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
