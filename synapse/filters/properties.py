"""The properties of a message that a filter uses: found in its tokens, and looked up in each message.

A filter gets only the values that it names: converting all of an event of 1 MB to values of the library would take
longer than any filter.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal

import jsonschema_rs

from synapse.errors.contracts import BadSchema
from synapse.errors.streams import BadFilterExpression
from synapse.filters.library import load_cel
from synapse.filters.tokens import Token
from synapse.schema.ecma_patterns import engine_form
from synapse.schema.jsonschema_engine import validator_for
from synapse.schema.regex_safety import matching_width, refuse_exponential, refuse_foreign, refuse_large

MESSAGE_NAMES = (*("event", "event_type", "id", "stream", "timestamp", "source", "contract_version", "layout", "data"),)
"""The parts of a message that a filter can name."""
MOST_WORK = 200_000
"""The work that a filter may spend on the values of one message, in steps of some 150 ns: a list of 100,000 integers,
20,000 texts or 5,000 objects, or a text of 8 MB.
"""
UNANSWERABLE = object()
"""The answer to a question that has none, such as the size of a number."""

_MISSING = object()
UNKNOWN_ESCAPE = "this text has an unknown escape; write \\\\ for a backslash."
# With more levels, values of the library overflow the stack.
_MOST_DEPTH = 100
# Measured. An integer, true, false or null takes one step.
_STEPS_OF_DOUBLE, _STEPS_OF_OTHERS, _STEPS_OF_NAME, _CHARACTERS_A_STEP = 5, 9, 12, 50
_ITEMS_A_STEP = 5
_PLAIN = frozenset({bool, int, NoneType})
_MOST_WIDTH = 100
# A narrow pattern becomes an automaton, which takes 10 ns for each character. A wide one takes 15 ns for each character
# and place.
_NARROW, _MATCHED_A_STEP = 10, 10
_IGNORE_CASE = "(?i)"
_OPERATORS_OF_OTHERS = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "is": "==",
    "none": "null",
    "nil": "null",
    "undefined": "null",
    "like": 'event.name.contains("...")',
}

Question = Literal["value", "has", "size", "in", "matches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A regular expression of a filter, matched in linear time.

    Attributes:
        validator: the validator of a schema with the pattern.
        width: the number of places of the pattern that the engine may have to examine for one character.
    """

    validator: jsonschema_rs.Validator
    width: int

    def look_up(self, value: Any, work: int) -> tuple[Any, int]:
        """Return whether a text matches the pattern, and the work that is left; UNANSWERABLE for other values, and when
        matching takes more work than is left.
        """
        if not isinstance(value, str):
            return UNANSWERABLE, work
        left = work - len(value) * (1 if self.width <= _NARROW else self.width) // _MATCHED_A_STEP
        if left < 0:
            return UNANSWERABLE, work
        try:
            return self.validator.is_valid(value), left
        except ValueError:
            return UNANSWERABLE, left  # half of a surrogate pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property that a filter names, and the question that it asks about it.

    Attributes:
        path: the member of the message, then names of properties and indexes of lists.
        question: its value; whether it exists (`has`); its size; whether it contains a text (`in`); whether its text
            matches a pattern (`matches`).
        item: the text of `in`.
        pattern: the pattern of `matches`.
    """

    path: tuple[str | int, ...]
    question: Question = "value"
    item: str = ""
    pattern: Pattern | None = None

    def look_up(self, row: Mapping[str, Any], work: int, uses: int) -> tuple[Any, int]:
        """Return the answer for a message, and the work that is left; UNANSWERABLE when there is none, or it takes more
        work than is left.

        Args:
            row: the message.
            work: the work that may be done.
            uses: the number of uses of the answer: each may walk through all of it.
        """
        found = self._value_in(row)
        if self.question == "has":
            return found is not _MISSING, work
        if self.question == "size":
            return (len(found) if isinstance(found, str | list | Mapping) else UNANSWERABLE), work
        if self.question == "in":
            return self._has_item(found, work)
        if self.pattern is not None:
            return self.pattern.look_up(found, work)
        if found is _MISSING:
            return None, work
        left = _work_left(found, each := work // uses)
        return (found, work - (each - left) * uses) if left >= 0 else (UNANSWERABLE, work)

    def _has_item(self, found: Any, work: int) -> tuple[Any, int]:
        # A hundred times as fast as in the library, to which all items would have to be passed.
        if not isinstance(found, list | Mapping):
            return UNANSWERABLE, work
        left = work - len(found) // _ITEMS_A_STEP
        return (self.item in found, left) if left >= 0 else (UNANSWERABLE, work)

    def _value_in(self, row: Mapping[str, Any]) -> Any:
        found: Any = row
        for step in self.path:
            if isinstance(step, str):
                if not isinstance(found, Mapping) or step not in found:
                    return _MISSING
            elif not isinstance(found, list) or step >= len(found):
                return _MISSING
            found = found[step]
        return found


def _work_left(value: Any, work: int, depth: int = _MOST_DEPTH) -> int:
    """Return the work that is left after passing a value to the library; negative when there is not enough."""
    if isinstance(value, str):
        return work - _STEPS_OF_OTHERS - len(value) // _CHARACTERS_A_STEP
    if isinstance(value, Mapping):
        work -= _STEPS_OF_OTHERS + (_STEPS_OF_NAME + 1) * len(value)
        items: Collection[Any] = value.values()
    elif isinstance(value, list):
        work -= _STEPS_OF_OTHERS + len(value)
        items = value
    else:
        return work - (_STEPS_OF_DOUBLE if isinstance(value, float) else 1)
    if not depth:
        return -1
    if work >= 0:
        for item in items:
            if type(item) not in _PLAIN:
                work = _work_left(item, work, depth - 1)
                if work < 0:
                    break
    return work


def read_path(tokens: list[Token], at: int, names: Collection[str]) -> tuple[tuple[str | int, ...], int]:
    """Read the path that begins at index `at`. Return it, and the index of the token after it.

    Raises:
        BadFilterExpression: when a message has no member of this name.
    """
    root = tokens[at]
    if operator := _OPERATORS_OF_OTHERS.get(root.text.lower()):
        raise BadFilterExpression(f"“{root.text}” is written {operator} in a filter.", at=root.start)
    if root.text not in names:
        raise BadFilterExpression(
            f"there is no “{root.text[:100]}” to filter by; there are {', '.join(names)}. Write properties of the "
            "event as event.name, and texts in quotes.",
            at=root.start,
        )
    path: list[str | int] = [root.text]
    at += 1
    while True:
        opening, step, closing = (*tokens[at : at + 3], root, root)[:3]
        if opening.is_operator(".") and step.kind == "name" and not closing.is_operator("("):
            path.append(step.text)
            at += 2
        elif opening.is_operator("[") and closing.is_operator("]") and step.kind == "text":
            path.append(text_of(step))
            at += 3
        elif opening.is_operator("[") and closing.is_operator("]") and step.kind == "number" and step.text.isdigit():
            path.append(int(step.text))
            at += 3
        else:
            return tuple(path), at


def text_of(token: Token) -> str:
    """Return the text of a token in quotes.

    Raises:
        BadFilterExpression: when it has an escape that CEL does not know.
    """
    try:
        return str(load_cel().compile(token.text).execute())
    except ValueError:
        raise BadFilterExpression(UNKNOWN_ESCAPE, at=token.start) from None


def read_pattern(token: Token) -> Pattern:
    """Return the pattern of a token in quotes.

    Raises:
        BadFilterExpression: when it is not a pattern, is not accepted in schemas either, or is too wide.
    """
    pattern = text_of(token)
    # CEL's own patterns (RE2) have flags. Only the one that people use is accepted.
    ignores_case, core = pattern.startswith(_IGNORE_CASE), pattern.removeprefix(_IGNORE_CASE)
    schema = {"pattern": core}
    try:
        refuse_large(schema)
        refuse_foreign(schema)
        refuse_exponential(schema)
        validator = validator_for({"pattern": _IGNORE_CASE + engine_form(core)} if ignores_case else schema)
    except BadSchema as error:
        raise BadFilterExpression(error.detail, at=token.start) from None
    except jsonschema_rs.ValidationError:
        raise BadFilterExpression(f"the pattern “{core[:200]}” cannot be used.", at=token.start) from None
    width = matching_width(core)
    if width > _MOST_WIDTH:
        raise BadFilterExpression(
            f"the pattern “{core[:200]}” has {width} places when its repetitions are written out; up to {_MOST_WIDTH} "
            "are accepted. Use “*” or “+” in place of large counts.",
            at=token.start,
        )
    return Pattern(validator=validator, width=width)
