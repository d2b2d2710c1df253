"""A filter of events: its checks, and whether a message meets it."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, InstanceOf, SkipValidation, ValidationInfo, WithJsonSchema

from synapse.errors.streams import BadFilterExpression
from synapse.filters.conditions import Condition, ConditionReader
from synapse.filters.library import is_panic, load_cel
from synapse.filters.properties import (
    MESSAGE_NAMES,
    MOST_WORK,
    UNANSWERABLE,
    UNKNOWN_ESCAPE,
    Property,
    read_path,
    read_pattern,
    text_of,
)
from synapse.filters.tokens import MOST_CHARACTERS, Token, read_tokens, without_texts

_OF_TEXTS = ("contains", "startsWith", "endsWith", "matches")
_OF_TIMES = (
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
_CONVERSIONS = ("int", "uint", "double", "string", "timestamp", "duration")
FUNCTIONS = ("has", "size", *_OF_TEXTS, *_CONVERSIONS, *_OF_TIMES)
"""The functions of a filter."""
MACROS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
"""Loops over lists. Three within each other over a list of 100 items take half a second."""

_CONSTANTS = frozenset({"true", "false", "null", "in"})
# Names of variables have two characters, like the shortest name of a message, so that they fit in its place and all
# positions in the text stay correct.
_VARIABLES = tuple(f"_{each}" for each in "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OPERATORS = {
    *("_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"),
    *("-_", "_+_", "_-_", "_*_", "_/_", "_%_", "_[_]"),
}
_OPENING, _CLOSING = ("(", "["), (")", "]")
_PLACE = re.compile(r"<input>:1:(\d+): (.*)")


class EventFilter:
    """A checked and compiled filter.

    Attributes:
        text: its text.
        names: the members of a message that it uses: `event`, `event_type` and others.
    """

    __slots__ = ("_condition", "_context", "_properties", "names", "text")

    def __init__(self, text: str, properties: Sequence[tuple[Property, str, int]], condition: Condition) -> None:
        self.text = text
        self.names = frozenset(str(each.path[0]) for each, _, _ in properties)
        self._properties = tuple(properties)
        self._condition = condition
        self._context = load_cel().Context

    def __repr__(self) -> str:
        return f"EventFilter({self.text!r})"

    @property
    def without_texts(self) -> str:
        """The filter with “…” in place of its texts."""
        return without_texts(self.text)

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Say whether a message meets the filter. Never fails: a condition without an answer is false.

        Args:
            row: the message as GET /streams/{stream}/messages returns it to the caller, already masked.
        """
        context = self._context()
        self._set_variables(row, context.add_variable)
        return self._condition(context)

    def work_of(self, row: Mapping[str, Any]) -> int:
        """Return the work of filtering a message, in steps of some 150 ns: at most MOST_WORK."""
        return MOST_WORK - self._set_variables(row, lambda _variable, _value: None)

    def _set_variables(self, row: Mapping[str, Any], add_variable: Callable[[str, Any], None]) -> int:
        """Pass the values that the filter uses to `add_variable`, and return the work that is left."""
        work = MOST_WORK
        for property_, variable, uses in self._properties:
            value, work = property_.look_up(row, work, uses)
            if value is not UNANSWERABLE:
                # The library refuses texts with lone surrogates, which entries of other programs may have.
                with suppress(ValueError):
                    add_variable(variable, value)
        return work


def compile_filter(text: str, *, names: Collection[str] = MESSAGE_NAMES, parameter: str = "filter") -> EventFilter:
    """Check and compile a filter.

    Args:
        text: an expression of the subset of CEL that docs/filters.md describes.
        names: the members of a message that it may use.
        parameter: the request parameter that has the text.

    Raises:
        BadFilterExpression: when it cannot be parsed, or is too costly; with the position and a hint.
    """
    try:
        return _compile_filter(text, names)
    except BadFilterExpression as error:
        error.members["parameter"] = parameter
        raise


def _parse_parameter(text: Any, info: ValidationInfo) -> Any:
    return compile_filter(text, parameter=info.field_name or "filter") if isinstance(text, str) else text


QueryFilter = Annotated[
    SkipValidation[InstanceOf[EventFilter] | None],
    BeforeValidator(_parse_parameter),
    WithJsonSchema({"type": "string", "maxLength": MOST_CHARACTERS}),
]
"""The type of a filter in a query."""
FILTER_HELP = (
    'Only {} that meet this expression of a subset of CEL, such as `event.status == "failed" && event.attempts > 3` '
    "(docs/filters.md). PII that the caller may not see is masked for it."
)
"""The description of such a parameter, with a placeholder for the kind of things that are selected."""


def _compile_filter(text: str, names: Collection[str]) -> EventFilter:
    reader = _PropertyReader(read_tokens(text), names)
    tokens, properties = reader.read()
    # The text with variables in place of properties, and each token at its position.
    written = ""
    for token in tokens:
        written = written.ljust(token.start) + token.text
    _check_with_library(written, tokens)
    return EventFilter(text, properties, ConditionReader(tokens, written).read_choice())


def _check_with_library(written: str, tokens: list[Token]) -> None:
    """Parse a filter with the library, and refuse unknown variables, functions and operators."""
    try:
        found = load_cel().compile(written).references()
    except ValueError as error:
        place = _PLACE.search(str(error))
        at = int(place[1]) - 1 if place else 0
        raise BadFilterExpression(_error_sentence(place[2] if place else "", at, tokens), at=at) from None
    except BaseException as error:
        if is_panic(error):
            raise BadFilterExpression("the filter cannot be parsed.", at=0) from None
        raise
    known = {token.text for token in tokens if token.kind == "variable"}
    if not known.issuperset(found["variables"]) or not _OPERATORS.union(FUNCTIONS).issuperset(found["functions"]):
        raise BadFilterExpression("the filter uses something that is not accepted.", at=0)


def _error_sentence(message: str, at: int, tokens: list[Token]) -> str:
    token = next((each for each in tokens if each.start >= at), tokens[-1])
    if "literal" in message:
        return f"“{token.text[:50]}” does not fit into a number of 64 bits."
    if "token recognition" in message and token.kind == "text":
        return UNKNOWN_ESCAPE
    if missing := re.match(r"Syntax error: missing '(.+?)' at", message):
        return f"“{missing[1]}” is missing."
    if token.kind == "end":
        return "the filter ends too early. Add the value, property or bracket that is missing."
    return f"“{token.text[:50]}” was not expected."


def _ends_operand(token: Token, *brackets: str) -> bool:
    """Say whether a token next to a comparison ends its operand."""
    return token.kind == "end" or token.is_operator("&&", "||", "?", ":", ",", *brackets)


def _allowed_calls(function: str) -> Collection[tuple[bool, int]]:
    """Return the ways to call a function: whether as a method, and with how many arguments."""
    if function in _OF_TEXTS:
        return ((True, 1),)
    if function in _OF_TIMES:
        return ((True, 0),)
    # `has` and `size` are only for properties: for other texts, the library would count bytes.
    return ((False, 1),) if function in _CONVERSIONS else ()


def _example_of(function: str) -> str:
    if function in _OF_TEXTS:
        return f'event.name.{function}("x")'
    if function in _OF_TIMES:
        return f"timestamp(event.at).{function}()"
    return f"{function}(event.coupon)"


class _PropertyReader:
    """Finds the properties in the tokens of a filter, and replaces each with a variable."""

    def __init__(self, tokens: list[Token], names: Collection[str]) -> None:
        self._tokens = tokens
        self._names = names
        self._at = 0
        self._variables: dict[Property, str] = {}

    def read(self) -> tuple[list[Token], list[tuple[Property, str, int]]]:
        """Return the tokens with variables, and for each property its variable and the number of its uses.

        Raises:
            BadFilterExpression: for an unknown name or function, or a loop.
        """
        found = []
        while self._at < len(self._tokens):
            found.append(self._read_next())
        uses = Counter(token.text for token in found if token.kind == "variable")
        return found, [(each, name, uses[name]) for each, name in self._variables.items()]

    def _read_next(self) -> Token:
        token, following = self._tokens[self._at], self._peek(1)
        if token.kind == "name" and following.is_operator("("):
            return self._read_function(token)
        if token.kind == "text" and following.text == "in" and (question := self._read_membership(token)):
            return question
        is_member = self._at > 0 and self._tokens[self._at - 1].is_operator(".")
        if token.kind != "name" or token.text in _CONSTANTS or is_member:
            self._at += 1
            return token
        path, self._at = read_path(self._tokens, self._at, self._names)
        return self._read_property(token, path)

    def _read_function(self, token: Token) -> Token:
        """Return the token of a function, or a variable for a call that is a question about a property, such as
        `size`.
        """
        if token.text in MACROS:
            raise BadFilterExpression(
                f"“{token.text}” is a loop over a list, which a filter cannot have. Name the place in the list, as in "
                'event.items[0].sku == "A-1", or ask with “in”, as in "urgent" in event.tags.',
                at=token.start,
            )
        if token.text not in FUNCTIONS:
            raise BadFilterExpression(
                f"there is no function “{token.text[:100]}” in a filter; there are {', '.join(FUNCTIONS)}.",
                at=token.start,
            )
        if token.text == "matches":
            raise BadFilterExpression(
                '“matches” takes a pattern in quotes, and is called on a property, as in event.sku.matches("^A-").',
                at=token.start,
            )
        is_method = self._at > 0 and self._tokens[self._at - 1].is_operator(".")
        if token.text in ("has", "size") and not is_method and (question := self._read_question(token)):
            return question
        if (is_method, self._count_arguments()) not in _allowed_calls(token.text):
            # Other calls have no answer for any event.
            raise BadFilterExpression(f"“{token.text}” is used as in {_example_of(token.text)}.", at=token.start)
        self._at += 1
        return token

    def _count_arguments(self) -> int:
        """Return the number of arguments of the function at the current token."""
        if self._peek(2).is_operator(")"):
            return 0
        depth, commas, at = 0, 0, self._at + 1
        while depth or at == self._at + 1:
            depth += self._tokens[at].nesting
            commas += depth == 1 and self._tokens[at].is_operator(",")
            at += 1
        return commas + 1

    def _read_question(self, token: Token) -> Token | None:
        """Return the variable for `has` or `size` of a property; None when the argument is something else."""
        if not self._is_property(2):
            return None
        path, end = read_path(self._tokens, self._at + 2, self._names)
        if not self._tokens[end].is_operator(")"):
            return None
        self._at = end + 1
        return self._variable_for(token, Property(path=path, question="has" if token.text == "has" else "size"))

    def _read_membership(self, token: Token) -> Token | None:
        """Return the variable for “text in property”; None when it is part of a larger operand."""
        if not self._is_property(2):
            return None
        path, end = read_path(self._tokens, self._at + 2, self._names)
        before = self._tokens[self._at - 1] if self._at else self._tokens[-1]
        if not (_ends_operand(before, *_OPENING) and _ends_operand(self._tokens[end], *_CLOSING)):
            return None
        self._at = end
        return self._variable_for(token, Property(path=path, question="in", item=text_of(token)))

    def _read_property(self, token: Token, path: tuple[str | int, ...]) -> Token:
        """Return the variable of a property, including a call of its method `size` or `matches`."""
        dot, method, opening, first, second = (self._peek(each) for each in range(5))
        if dot.is_operator(".") and opening.is_operator("("):
            if method.text == "size" and first.is_operator(")"):
                self._at += 4
                return self._variable_for(token, Property(path=path, question="size"))
            if method.text == "matches" and first.kind == "text" and second.is_operator(")"):
                self._at += 5
                pattern = read_pattern(first)
                return self._variable_for(token, Property(path=path, question="matches", pattern=pattern))
        return self._variable_for(token, Property(path=path))

    def _is_property(self, further: int) -> bool:
        token = self._peek(further)
        return token.kind == "name" and token.text not in _CONSTANTS and not self._peek(further + 1).is_operator("(")

    def _variable_for(self, token: Token, property_: Property) -> Token:
        name = self._variables.setdefault(property_, _VARIABLES[len(self._variables)])
        return Token("variable", name, token.start)

    def _peek(self, further: int) -> Token:
        return self._tokens[min(self._at + further, len(self._tokens) - 1)]
