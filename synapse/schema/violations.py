"""The violations of a contract by an event, in words that tell a person how to change the event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jsonschema_rs
import orjson

from synapse.schema.ecma_patterns import author_form

_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One keyword of a schema that one place of an event breaks.

    `pointer` (into the event) and `schema_pointer` (into the contract) are JSON Pointers (RFC 6901).
    """

    pointer: str
    keyword: str
    schema_pointer: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the violation as problem documents show it."""
        return {
            "pointer": self.pointer,
            "keyword": self.keyword,
            "schema_pointer": self.schema_pointer,
            "message": self.message,
        }


def keyword_of(error: jsonschema_rs.ValidationError) -> str:
    """Return the keyword that an error is about."""
    if not error.schema_path:
        return "false"
    # `false` as a schema is no keyword of its own. Under these two it is about what else an object or array holds;
    # elsewhere it stands where a property's or item's schema would.
    last = str(error.schema_path[-1])
    return "false" if error.kind.name == "falseSchema" and last not in ("additionalProperties", "items") else last


def json_pointer(path: Sequence[str | int]) -> str:
    """Return the JSON Pointer of a path: "" for the whole document (RFC 6901, section 3)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def sentence(error: jsonschema_rs.ValidationError, path: Sequence[str | int]) -> str:
    """Return one sentence that names the place at a path of the event, the value there, and the contract's
    requirement."""
    place = name_of(path)
    kind = error.kind
    # as_dict() holds the details of the keyword: a limit, a list of types, the unexpected names.
    facts = kind.as_dict()
    if kind.name == "falseSchema" and keyword_of(error) == "additionalProperties":
        # The validator names none of them here: the schema defines no properties at all.
        return f"{place} has properties that its contract does not allow."
    say = _SENTENCES.get(kind.name)
    if say is None:
        return f"{place} breaks “{kind.name}”: {_shortened(author_form(error.message))}."
    return f"{place} {say(facts, error.instance)}."


def name_of(path: Sequence[str | int]) -> str:
    """Return how a sentence names the place at a path of the event."""
    if not path:
        return "The event"
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return f"“{_shortened(name)}”"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _value(value: Any) -> str:
    text = str(value) if isinstance(value, Decimal) else orjson.dumps(value, default=_written).decode()
    return _shortened(text)


def _written(value: object) -> Any:
    """Write a decimal inside a value as the number that it is, and anything else as a text."""
    return orjson.Fragment(str(value)) if isinstance(value, Decimal) else str(value)


def _listed(values: Sequence[Any]) -> str:
    shown = [_value(value) for value in values[:10]] + (["…"] if len(values) > 10 else [])
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _type_of(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), "something else")


def _type(facts: dict[str, Any], value: Any) -> str:
    types = facts["types"]
    wanted = " or ".join(types) if isinstance(types, list) else str(types)
    shown = f" ({_value(value)})" if not isinstance(value, (dict, list)) and value is not None else ""
    return f"must be of type {wanted}, but is {_type_of(value)}{shown}"


def _unexpected(facts: dict[str, Any], _: Any) -> str:
    names = ", ".join(f"“{_shortened(str(name))}”" for name in facts["unexpected"][:10])
    return f"has properties that its contract does not allow: {names}"


_SENTENCES: dict[str, Callable[[dict[str, Any], Any], str]] = {
    "type": _type,
    "required": lambda facts, _: f"must have the property “{facts['property']}”",
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "propertyNames": lambda facts, _: (
        f"has a property whose name is not allowed: {_shortened(author_form(facts['error'].message))}"
    ),
    "contains": lambda *_: "does not hold the items that its contract asks for",
    "minimum": lambda facts, value: f"must be {_value(facts['limit'])} or more, but is {_value(value)}",
    "maximum": lambda facts, value: f"must be {_value(facts['limit'])} or less, but is {_value(value)}",
    "exclusiveMinimum": lambda facts, value: f"must be more than {_value(facts['limit'])}, but is {_value(value)}",
    "exclusiveMaximum": lambda facts, value: f"must be less than {_value(facts['limit'])}, but is {_value(value)}",
    "minLength": lambda facts, value: f"must have {facts['limit']} characters or more, but has {len(value)}",
    "maxLength": lambda facts, value: f"must have {facts['limit']} characters or fewer, but has {len(value)}",
    "minItems": lambda facts, value: f"must have {facts['limit']} items or more, but has {len(value)}",
    "maxItems": lambda facts, value: f"must have {facts['limit']} items or fewer, but has {len(value)}",
    "minProperties": lambda facts, value: f"must have {facts['limit']} properties or more, but has {len(value)}",
    "maxProperties": lambda facts, value: f"must have {facts['limit']} properties or fewer, but has {len(value)}",
    "enum": lambda facts, value: f"must be {_listed(facts['options'])}, but is {_value(value)}",
    "const": lambda facts, value: f"must be {_value(facts['expected_value'])}, but is {_value(value)}",
    "pattern": lambda facts, value: f"must match {_shortened(author_form(facts['pattern']))}, but is {_value(value)}",
    "format": lambda facts, value: f"must be a valid {facts['format']}, but is {_value(value)}",
    "multipleOf": lambda facts, value: f"must be a multiple of {_value(facts['multiple_of'])}, but is {_value(value)}",
    "uniqueItems": lambda *_: "must not hold the same item twice",
    "anyOf": lambda *_: "fits none of the forms that its contract allows",
    "oneOf": lambda *_: "must fit exactly one of the forms that its contract allows",
    "not": lambda *_: "has a form that its contract forbids",
    "falseSchema": lambda *_: "must not be there",
}
