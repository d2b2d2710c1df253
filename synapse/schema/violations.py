"""The violations of a contract by an event, in sentences that tell a person how to change the event."""

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
    """A keyword of a schema that a place of an event violates.

    `pointer` (into the event) and `schema_pointer` (into the contract) are JSON Pointers (RFC 6901).
    """

    pointer: str
    keyword: str
    schema_pointer: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the violation in the form of problem documents."""
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
    # `false` as a schema has no keyword. Below these two keywords, it concerns the further members of an object or
    # array; elsewhere it is the schema of a property or item.
    last = str(error.schema_path[-1])
    return "false" if error.kind.name == "falseSchema" and last not in ("additionalProperties", "items") else last


def json_pointer(path: Sequence[str | int]) -> str:
    """Return the JSON Pointer of a path, "" for the whole document (RFC 6901, section 3)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def describe_error(error: jsonschema_rs.ValidationError, path: Sequence[str | int]) -> str:
    """Return a sentence with the place at a path of the event, its value, and the contract's requirement."""
    place = name_of(path)
    kind = error.kind
    # The details of the keyword are in as_dict(): a limit, a list of types, the unexpected names.
    facts = kind.as_dict()
    if kind.name == "falseSchema" and keyword_of(error) == "additionalProperties":
        # The validator names none of the properties here, because the schema defines none.
        return f"{place} has properties that its contract does not allow."
    say = _SENTENCES.get(kind.name)
    if say is None:
        return f"{place} breaks “{kind.name}”: {_shorten(author_form(error.message))}."
    return f"{place} {say(facts, error.instance)}."


def name_of(path: Sequence[str | int]) -> str:
    """Return the name of the place at a path of the event, for use in a sentence."""
    if not path:
        return "The event"
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return f"“{_shorten(name)}”"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _format_value(value: Any) -> str:
    text = str(value) if isinstance(value, Decimal) else orjson.dumps(value, default=_to_json).decode()
    return _shorten(text)


def _to_json(value: object) -> Any:
    """Write a decimal inside a value as a number, and any other object as a text."""
    return orjson.Fragment(str(value)) if isinstance(value, Decimal) else str(value)


def _format_list(values: Sequence[Any]) -> str:
    shown = [_format_value(value) for value in values[:10]] + (["…"] if len(values) > 10 else [])
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


def _type_sentence(facts: dict[str, Any], value: Any) -> str:
    types = facts["types"]
    wanted = " or ".join(types) if isinstance(types, list) else str(types)
    shown = f" ({_format_value(value)})" if not isinstance(value, (dict, list)) and value is not None else ""
    return f"must be of type {wanted}, but is {_type_of(value)}{shown}"


def _unexpected_sentence(facts: dict[str, Any], _: Any) -> str:
    names = ", ".join(f"“{_shorten(str(name))}”" for name in facts["unexpected"][:10])
    return f"has properties that its contract does not allow: {names}"


_SENTENCES: dict[str, Callable[[dict[str, Any], Any], str]] = {
    "type": _type_sentence,
    "required": lambda facts, _: f"must have the property “{facts['property']}”",
    "additionalProperties": _unexpected_sentence,
    "unevaluatedProperties": _unexpected_sentence,
    "propertyNames": lambda facts, _: (
        f"has a property whose name is not allowed: {_shorten(author_form(facts['error'].message))}"
    ),
    "contains": lambda *_: "does not hold the items that its contract asks for",
    "minimum": lambda facts, value: f"must be {_format_value(facts['limit'])} or more, but is {_format_value(value)}",
    "maximum": lambda facts, value: f"must be {_format_value(facts['limit'])} or less, but is {_format_value(value)}",
    "exclusiveMinimum": lambda facts, value: (
        f"must be more than {_format_value(facts['limit'])}, but is {_format_value(value)}"
    ),
    "exclusiveMaximum": lambda facts, value: (
        f"must be less than {_format_value(facts['limit'])}, but is {_format_value(value)}"
    ),
    "minLength": lambda facts, value: f"must have {facts['limit']} characters or more, but has {len(value)}",
    "maxLength": lambda facts, value: f"must have {facts['limit']} characters or fewer, but has {len(value)}",
    "minItems": lambda facts, value: f"must have {facts['limit']} items or more, but has {len(value)}",
    "maxItems": lambda facts, value: f"must have {facts['limit']} items or fewer, but has {len(value)}",
    "minProperties": lambda facts, value: f"must have {facts['limit']} properties or more, but has {len(value)}",
    "maxProperties": lambda facts, value: f"must have {facts['limit']} properties or fewer, but has {len(value)}",
    "enum": lambda facts, value: f"must be {_format_list(facts['options'])}, but is {_format_value(value)}",
    "const": lambda facts, value: f"must be {_format_value(facts['expected_value'])}, but is {_format_value(value)}",
    "pattern": lambda facts, value: (
        f"must match {_shorten(author_form(facts['pattern']))}, but is {_format_value(value)}"
    ),
    "format": lambda facts, value: f"must be a valid {facts['format']}, but is {_format_value(value)}",
    "multipleOf": lambda facts, value: (
        f"must be a multiple of {_format_value(facts['multiple_of'])}, but is {_format_value(value)}"
    ),
    "uniqueItems": lambda *_: "must not hold the same item twice",
    "anyOf": lambda *_: "fits none of the forms that its contract allows",
    "oneOf": lambda *_: "must fit exactly one of the forms that its contract allows",
    "not": lambda *_: "has a form that its contract forbids",
    "falseSchema": lambda *_: "must not be there",
}
