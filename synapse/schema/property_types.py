"""The JSON types that a contract gives the properties of an event.

Fields that other programs write are text; by these types, text is read as the value that the contract asks for. A type
counts wherever the validator would look for it: in place, behind a reference, or in the parts of `allOf`, `anyOf` and
`oneOf`.
"""

from collections.abc import Mapping
from typing import Any

from synapse.schema.references import CannotFollow, Document, ReferenceResolver

_ALL = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))
_NUMBER = frozenset(("integer", "number"))
_COMPOSED = frozenset(("$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf"))
_MOST_PARTS = 500
"""What more parts than these describe, an event or a property, may have any type as far as is known here."""

Types = frozenset[str]


def property_types(resolver: ReferenceResolver) -> dict[str, Types]:
    """Return the types that each named property of an event may have, where they are not all that there are."""
    reader = _Reader(resolver)
    found = reader.of_properties(resolver.root, ())
    return {name: _written(types) for name, types in found.items() if types and types != _ALL}


class _Reader:
    def __init__(self, resolver: ReferenceResolver) -> None:
        self._resolver = resolver
        self._parts_left = _MOST_PARTS
        self._known: dict[int, Types] = {}

    def of_properties(self, part: Any, above: tuple[int, ...]) -> dict[str, Types]:
        """Return what a schema says of an object's properties; of those that are not named, anything goes."""
        self._parts_left -= 1
        if not isinstance(part, Mapping) or id(part) in above or self._parts_left < 0:
            return {}
        above = (*above, id(part))
        found: dict[str, Types] = {}
        if not self._resolver.ignores_siblings(part):
            found = {name: self._of_property(each) for name, each in _mapping(part.get("properties")).items()}
        if _COMPOSED.isdisjoint(part):
            return found
        for each in self._all(part):
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
        """Return the types of the values that a schema may accept: some that it does not may be among them."""
        left[0] -= 1
        if part is False:
            return frozenset()
        if not isinstance(part, Mapping) or id(part) in above or left[0] < 0:
            return _ALL
        above = (*above, id(part))
        types = _ALL if self._resolver.ignores_siblings(part) else _own_types(part)
        for each in self._all(part):
            types &= self._of_value(each, above, left)
        for alternatives in self._alternatives(part):
            types &= frozenset[str]().union(*(self._of_value(each, above, left) for each in alternatives))
        return types

    def _all(self, part: Document) -> list[Any]:
        """Return the schemas that a value must keep as well."""
        try:
            targets = self._resolver.possible_targets(part)
        except CannotFollow:
            targets = []
        # Which of several targets is meant depends on the value.
        found = [target.schema for target in targets] if len(targets) == 1 else []
        return found if self._resolver.ignores_siblings(part) else [*found, *_list(part.get("allOf"))]

    def _alternatives(self, part: Document) -> list[list[Any]]:
        if self._resolver.ignores_siblings(part):
            return []
        return [alternatives for word in ("anyOf", "oneOf") if (alternatives := _list(part.get(word)))]


def _own_types(part: Document) -> Types:
    named = part.get("type")
    types = _BY_NAME.get(named, _ALL) if named is None or isinstance(named, str) else _with_integers(_list(named))
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


def _written(types: Types) -> Types:
    """Return the types as a schema writes them: an integer is a number."""
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


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
