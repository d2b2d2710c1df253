"""How much work a schema can make of one event. No Django, no I/O.

A validator follows every branch, so a schema of a few lines can ask for 2^40 checks of one value: a definition that
refers twice to the next one, forty times over. Such a schema is refused. One that means itself, as trees do, has no
such number; of it we learn in how many ways it comes back to itself, which is what explaining a refusal costs anew
with each level of an event.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from contracts.errors import BadSchema

MAX_CHECKS = 10_000
_LISTS = ("allOf", "anyOf", "oneOf")
_ONES = ("not", "if", "then", "else")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# What looks at the properties of an object or the items of an array; of a mapping, one property meets one schema.
_OF_PARTS = (
    *("additionalProperties", "unevaluatedProperties", "propertyNames"),
    *("items", "additionalItems", "unevaluatedItems", "contains"),
)
_TOP = "http://nameless.invalid/"


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


def of(document: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> Work:
    """Return the work of a schema, with the other schemas that its `$ref` name.

    Raises:
        BadSchema: when it is too much, too long a chain, or has no end because the schema means itself.
    """
    try:
        return _Counting(document, references).of(document, frozenset())
    except RecursionError:
        raise BadSchema("The schema's references lead from one to the next too often.") from None


class _Counting:
    def __init__(self, document: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> None:
        self._places: dict[str, Any] = {}
        self._bases: dict[int, str] = {}
        self._known: dict[int, Work] = {}
        # Nodes whose parts are being counted: who meets one again has found a schema that means itself.
        self._open: set[int] = set()
        for name, each in references.items():
            self._index(each, urldefrag(_joined(_TOP, name))[0])
        self._index(document, _TOP)

    def of(self, node: Any, above: frozenset[int]) -> Work:
        """Count a schema; `above` are those that are being checked against the same value."""
        if not isinstance(node, Mapping):
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
        for word in ("dependentSchemas", "dependencies"):
            yield from _mapping(node.get(word)).values()
        for word in _REFERENCES:
            target = self._target(node, node.get(word))
            if target is not None:
                yield target

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

    def _index(self, node: Any, base: str) -> None:
        waiting = [(node, base, True)]
        while waiting:
            each, base, is_top = waiting.pop()
            if isinstance(each, list):
                waiting += [(part, base, False) for part in each]
            elif isinstance(each, Mapping):
                own = each.get("$id", each.get("id"))
                if is_top:
                    self._places.setdefault(base, each)
                if isinstance(own, str):
                    base = urldefrag(_joined(base, own))[0]
                    self._places.setdefault(base, each)
                for word in ("$anchor", "$dynamicAnchor"):
                    if isinstance(each.get(word), str):
                        self._places.setdefault(f"{base}#{each[word]}", each)
                self._bases[id(each)] = base
                waiting += [(part, base, False) for part in each.values()]

    def _target(self, node: Mapping[str, Any], reference: Any) -> Any:
        """Return what a reference leads to; None when it is not known here: the validator refuses it then."""
        if not isinstance(reference, str):
            return None
        address, fragment = urldefrag(_joined(self._bases.get(id(node), _TOP), reference))
        if fragment and not fragment.startswith("/"):
            return self._places.get(f"{address}#{fragment}")
        found = self._places.get(address)
        for part in fragment.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(name)
            elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:6]) < len(found):
                found = found[int(name[:6])]
            else:
                return None
        return found


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:  # no address, so nothing is found under it
        return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
