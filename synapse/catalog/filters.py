"""The filters of a bridge, which select events by their properties.

A filter is a mapping: `{"property": "customer.country", "op": "eq", "value": "DE"}`. An event has to meet all filters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synapse.catalog.file import kind_of, nearest, quote
from synapse.catalog.plan import is_equal
from synapse.formats.exact_json import is_number

OPERATORS = ("eq", "ne", "in", "lt", "le", "gt", "ge", "exists", "prefix")
MOST_FILTERS = 20
MOST_VALUES = 100
MOST_CHARACTERS = 200
MOST_STEPS = 10
_MISSING = object()


class BadFilter(ValueError):
    """A value is not a filter; the message explains it. `place` is its index in the list, None for the list itself."""

    def __init__(self, text: str, place: int | None = None) -> None:
        super().__init__(text if place is None else f"Filter {place + 1}: {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One condition on a property of an event.

    `property` is the name of a top-level property, or a path with dots for one inside objects. Order comparisons hold
    only between two numbers or two texts. A missing property meets `ne` and `exists: false`, and no other condition.
    """

    property: str
    op: str
    value: Any = True

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Say whether an event meets the condition."""
        found = _value_at(event, self.property)
        if self.op == "exists":
            return (found is not _MISSING) == bool(self.value)
        if found is _MISSING:
            return self.op == "ne"
        if self.op in ("eq", "ne"):
            return is_equal(found, self.value) == (self.op == "eq")
        if self.op == "in":
            return any(is_equal(found, one) for one in self.value)
        if self.op == "prefix":
            return isinstance(found, str) and found.startswith(self.value)
        are_numbers = is_number(found) and is_number(self.value)
        if not are_numbers and not (isinstance(found, str) and isinstance(self.value, str)):
            return False
        if self.op in ("lt", "le"):
            return bool(found < self.value or (self.op == "le" and found == self.value))
        return bool(found > self.value or (self.op == "ge" and found == self.value))


def all_hold(filters: Sequence[Filter], event: Mapping[str, Any]) -> bool:
    """Say whether an event meets all conditions."""
    return all(one.holds(event) for one in filters)


def read_filters(values: object) -> tuple[Filter, ...]:
    """Parse a list of mappings as filters.

    Raises:
        BadFilter: when it is not such a list.
    """
    if not isinstance(values, list | tuple):
        raise BadFilter("A list of filters; an empty one means all events.")
    if len(values) > MOST_FILTERS:
        raise BadFilter(f"At most {MOST_FILTERS} filters.")
    return tuple(_parse_filter(place, value) for place, value in enumerate(values))


def _parse_filter(place: int, value: object) -> Filter:
    if not isinstance(value, Mapping):
        raise BadFilter(f"must be a mapping with property, op and value, but is {kind_of(value)}.", place)
    for name in value:
        if name not in ("property", "op", "value"):
            raise BadFilter(f"there is no {quote(str(name))} in a filter; it has property, op and value.", place)
    path, op = value.get("property"), value.get("op")
    if not isinstance(path, str) or not 0 < len(path) <= MOST_CHARACTERS or path.count(".") >= MOST_STEPS:
        raise BadFilter(
            f"“property” must be a name, or up to {MOST_STEPS} with dots between them, of {MOST_CHARACTERS} characters "
            "at most.",
            place,
        )
    if not isinstance(op, str) or op not in OPERATORS:
        raise BadFilter(f"“op” is {kind_of(op)}; {nearest(str(op), OPERATORS)}", place)
    if "value" not in value and op != "exists":
        raise BadFilter(f"“value” is missing: what {op} compares with.", place)
    given = value.get("value", True)
    if complaint := _required_form(op, given):
        raise BadFilter(f"“value” must be {complaint} for {op}, but is {kind_of(given)}.", place)
    return Filter(property=path, op=op, value=tuple(given) if op == "in" else given)


def _required_form(op: str, value: Any) -> str:
    """Return a description of the value that the operator requires; "" when the value is valid."""
    if op == "exists":
        return "" if isinstance(value, bool) else "true or false"
    if op == "in":
        good = isinstance(value, list | tuple) and 0 < len(value) <= MOST_VALUES
        return "" if good else f"a list of 1 to {MOST_VALUES} values"
    if op == "prefix":
        return "" if isinstance(value, str) else "text"
    if op in ("lt", "le", "gt", "ge"):
        return "" if is_number(value) or isinstance(value, str) else "a number or text"
    return ""


def _value_at(event: Mapping[str, Any], path: str) -> Any:
    # The name of a top-level property may have dots: it takes precedence over a path.
    if path in event:
        return event[path]
    found: Any = event
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return _MISSING
        found = found[name]
    return found
