"""How much work a schema can make of one event. No Django, no I/O.

A validator follows every branch, so a schema of a few lines can ask for 2^40 checks of one value: a definition that
refers twice to the next one, forty times over. Such a schema is refused. One that means itself, as trees do, has no
such number; of it we learn in how many ways it comes back to itself, which is what explaining a refusal costs anew
with each level of an event.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.errors import BadSchema
from contracts.references import CannotFollow, ReferenceResolver

MAX_CHECKS = 10_000
_LISTS = ("allOf", "anyOf", "oneOf")
_ONES = ("not", "if", "then", "else")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# What looks at the properties of an object or the items of an array; of a mapping, one property meets one schema.
_OF_PARTS = (
    *("additionalProperties", "unevaluatedProperties", "propertyNames"),
    *("items", "additionalItems", "unevaluatedItems", "contains"),
)
_IN_PARTS = ("patternProperties", "properties", "prefixItems", "items")
_DEPENDENT = ("dependentSchemas", "dependencies")
# A schema with none of these words has no other in it.
_LEADING_ON = frozenset((*_LISTS, *_ONES, *_REFERENCES, *_DEPENDENT, *_OF_PARTS, *_IN_PARTS))


@dataclass(frozen=True, slots=True)
class Work:
    """`checks` is how often one value can be checked; `returns` in how many ways a schema comes back to itself."""

    checks: int
    returns: int

    def __add__(self, other: "Work") -> "Work":
        return Work(self.checks + other.checks, self.returns + other.returns)


_ONE = Work(1, 0)
_NONE = Work(0, 0)
_BACK = Work(1, 1)


def of(resolver: ReferenceResolver) -> Work:
    """Return the work of a schema, with the other schemas that its `$ref` name.

    Raises:
        BadSchema: when it is too much, too long a chain, or has no end because the schema means itself.
    """
    try:
        return _Counting(resolver).of(resolver.root, frozenset())
    except RecursionError:
        raise BadSchema("The schema's references lead from one to the next too often.") from None


class _Counting:
    def __init__(self, resolver: ReferenceResolver) -> None:
        self._resolver = resolver
        self._known: dict[int, Work] = {}
        # Nodes whose parts are being counted: who meets one again has found a schema that means itself.
        self._open: set[int] = set()

    def of(self, node: Any, above: frozenset[int]) -> Work:
        """Count a schema; `above` are those that are being checked against the same value."""
        if not isinstance(node, Mapping) or _LEADING_ON.isdisjoint(node):
            return _ONE
        key = id(node)
        if key in above:
            raise BadSchema("A “$ref” leads back to where it stands, so it would check nothing.")
        if key in self._open:
            return _BACK
        if key not in self._known:
            self._open.add(key)
            total = sum((self.of(each, above | {key}) for each in self._same_value(node)), _ONE)
            total += self._parts(node)
            self._open.remove(key)
            if total.checks > MAX_CHECKS:
                raise BadSchema(f"An event could have to be checked more than {MAX_CHECKS} times against this schema.")
            self._known[key] = total
        return self._known[key]

    def _same_value(self, node: Mapping[str, Any]) -> Iterator[Any]:
        for word in _LISTS:
            yield from _list(node.get(word))
        for word in _ONES:
            if word in node:
                yield node[word]
        for word in _DEPENDENT:
            yield from _mapping(node.get(word)).values()
        try:
            targets = self._resolver.targets(node)
        except CannotFollow:  # the validator does not look at it either, or it had refused the schema
            return
        yield from (target.schema for target in targets)

    def _parts(self, node: Mapping[str, Any]) -> Work:
        total = _NONE
        for word in _OF_PARTS:
            if isinstance(node.get(word), Mapping):
                total += self.of(node[word], frozenset())
        for each in _mapping(node.get("patternProperties")).values():
            total += self.of(each, frozenset())
        for choices in (
            _mapping(node.get("properties")).values(),
            _list(node.get("prefixItems")),
            _list(node.get("items")),
        ):
            counted = [self.of(each, frozenset()) for each in choices]
            total += Work(
                max((each.checks for each in counted), default=0), max((each.returns for each in counted), default=0)
            )
        return total


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
