"""Typed values for the text fields of an event, by the types in its contract and by trial.

Other programs write fields as text. Types are found where the validator would find them: in the property's schema,
behind a reference, or in the parts of `allOf`, `anyOf` and `oneOf`. When types do not decide, `42` can be a number or a
string: it can depend on another property (`if`, alternatives with a distinct `const`), on a pattern, or on the name
(`patternProperties`). So the readings are tried with the validator.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Protocol

from synapse.schema.cost.guard import QUICK_STEPS
from synapse.schema.explanation import Finding, OutOfBudget
from synapse.schema.references import CannotFollow, Document, ReferenceResolver, list_of, mapping_of

MOST_TRIES = 8
"""So many readings of one event are tried at the most, beside the first."""

# The values for which a text may stand, each in a list of one; an empty list stands for no value.
Readings = Sequence[Sequence[Any]]


class TextSchema(Protocol):
    """The interface of a contract for trying readings of texts."""

    def accepts_at_once(self, event: Any, length: float = inf) -> bool | None:
        """Say whether the event is valid; None when checking it could take more than `QUICK_STEPS`.

        `length` is an upper bound of the event's JSON in bytes: a short event need not be measured.
        """

    def findings(self, event: Any, *, steps: float | None = None) -> list[Finding]:
        """Return the violations without sentences, for callers that check many events and show few of them.

        Raises:
            OutOfBudget: when that takes more than `steps`; without `steps`, the search goes as far as possible.
        """


def accepted_reading(
    schema: TextSchema, event: dict[str, Any], others: Callable[[], Mapping[str, Readings]]
) -> dict[str, Any]:
    """Return the event in a reading that the contract accepts, else unchanged.

    Each trial gives the next reading to the properties that violate the contract, or to all properties when the
    violation names none.

    Args:
        schema: the contract.
        event: the event in its first reading, by the types of its properties.
        others: returns the other readings of each property's text, the most likely first.
    """
    if schema.accepts_at_once(event) is not False:
        return event
    tried = event
    left = {name: list(readings) for name, readings in others().items()}
    for _ in range(MOST_TRIES):
        try:
            findings = schema.findings(tried, steps=QUICK_STEPS)
        except OutOfBudget:
            return event
        # The properties with violations; none when the event as a whole has one.
        wrong = {str(each.path[0]) if each.path else each.missing for each in findings} - {""}
        names = [name for name, readings in left.items() if readings and (not wrong or name in wrong)]
        if not names:
            return event
        tried = dict(tried)
        for name in names:
            reading = left[name].pop(0)
            if reading:
                tried[name] = reading[0]
            else:
                tried.pop(name, None)
        accepted = schema.accepts_at_once(tried)
        if accepted is not False:
            return tried if accepted else event
    return event


TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ALL = frozenset(TYPES)
_NUMBER = frozenset(("integer", "number"))
_COMPOSED = frozenset(("$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf"))
_MOST_PARTS = 500
"""An event or property that more parts than these describe is taken to have any type."""

Types = frozenset[str]


def property_types(resolver: ReferenceResolver) -> dict[str, Types]:
    """Return the types that each named property of an event may have, unless all types are possible."""
    reader = _Reader(resolver)
    found = reader.of_properties(resolver.root, ())
    return {name: _schema_types(types) for name, types in found.items() if types and types != _ALL}


class _Reader:
    def __init__(self, resolver: ReferenceResolver) -> None:
        self._resolver = resolver
        self._parts_left = _MOST_PARTS
        self._known: dict[int, Types] = {}

    def of_properties(self, part: Any, above: tuple[int, ...]) -> dict[str, Types]:
        """Return the types of an object's properties by a schema. An unnamed property may have any type."""
        self._parts_left -= 1
        if not isinstance(part, Mapping) or id(part) in above or self._parts_left < 0:
            return {}
        above = (*above, id(part))
        found: dict[str, Types] = {}
        if not self._resolver.ignores_siblings(part):
            found = {name: self._of_property(each) for name, each in mapping_of(part.get("properties")).items()}
        if _COMPOSED.isdisjoint(part):
            return found
        for each in self._required_schemas(part):
            for name, types in self.of_properties(each, above).items():
                found[name] = found.get(name, _ALL) & types
        for alternatives in self._alternatives(part):
            branches = [self.of_properties(each, above) for each in alternatives]
            for name in frozenset().union(*branches):
                either = frozenset[str]().union(*(branch.get(name, _ALL) for branch in branches))
                found[name] = found.get(name, _ALL) & either
        return found

    def _of_property(self, part: Any) -> Types:
        if isinstance(part, Mapping) and _COMPOSED.isdisjoint(part):
            return _own_types(part)
        if id(part) not in self._known:
            self._known[id(part)] = self._of_value(part, (), [_MOST_PARTS])
        return self._known[id(part)]

    def _of_value(self, part: Any, above: tuple[int, ...], left: list[int]) -> Types:
        """Return the types of the values that a schema may accept, possibly with types that it does not accept."""
        left[0] -= 1
        if part is False:
            return frozenset()
        if not isinstance(part, Mapping) or id(part) in above or left[0] < 0:
            return _ALL
        above = (*above, id(part))
        types = _ALL if self._resolver.ignores_siblings(part) else _own_types(part)
        for each in self._required_schemas(part):
            types &= self._of_value(each, above, left)
        for alternatives in self._alternatives(part):
            types &= frozenset[str]().union(*(self._of_value(each, above, left) for each in alternatives))
        return types

    def _required_schemas(self, part: Document) -> list[Any]:
        """Return the further schemas that a value must satisfy."""
        try:
            targets = self._resolver.possible_targets(part)
        except CannotFollow:
            targets = []
        # The value decides which of several targets applies.
        found = [target.schema for target in targets] if len(targets) == 1 else []
        return found if self._resolver.ignores_siblings(part) else [*found, *list_of(part.get("allOf"))]

    def _alternatives(self, part: Document) -> list[list[Any]]:
        if self._resolver.ignores_siblings(part):
            return []
        return [alternatives for word in ("anyOf", "oneOf") if (alternatives := list_of(part.get(word)))]


def _own_types(part: Document) -> Types:
    named = part.get("type")
    types = _BY_NAME.get(named, _ALL) if named is None or isinstance(named, str) else _with_integers(list_of(named))
    if "const" in part:
        types &= _BY_NAME[_type_of(part["const"])]
    if isinstance(values := part.get("enum"), list):
        types &= _with_integers([_type_of(value) for value in values])
    return types


def _with_integers(names: list[Any]) -> Types:
    """Return the types with integers among the numbers."""
    types = frozenset(name for name in names if isinstance(name, str)) & _ALL
    return types | _NUMBER if "number" in types else types


_BY_NAME: Mapping[str | None, Types] = {name: _with_integers([name]) for name in _ALL}


def _schema_types(types: Types) -> Types:
    """Return the types in the form of schemas, where an integer is a number."""
    return types - {"integer"} if "number" in types else types


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    return "object" if isinstance(value, Mapping) else "array"
