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
# Names of variables are two characters long, as the shortest name of a message is: so no place in the text changes.
_VARIABLES = tuple(f"_{each}" for each in "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OPERATORS = {
    *("_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"),
    *("-_", "_+_", "_-_", "_*_", "_/_", "_%_", "_[_]"),
}
_OPENING, _CLOSING = ("(", "["), (")", "]")
_PLACE = re.compile(r"<input>:1:(\d+): (.*)")


class EventFilter:
    """A filter that was found to be harmless, ready to be used.

    Attributes:
        text: how it was written.
        names: what it uses of a message: `event`, `event_type` and others.
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
        """Say whether a message meets the filter. No value of a message is an error: a condition that has no answer is
        false.

        Args:
            row: the message, as GET /streams/{stream}/messages answers it to the caller, already masked.
        """
        context = self._context()
        self._fill(row, context.add_variable)
        return self._condition(context)

    def work(self, row: Mapping[str, Any]) -> int:
        """Return how much work it takes to filter a message, in steps of some 150 ns: at most MOST_WORK."""
        return MOST_WORK - self._fill(row, lambda _variable, _value: None)

    def _fill(self, row: Mapping[str, Any], add_variable: Callable[[str, Any], None]) -> int:
        """Give a context the values that the filter uses, and return the work that is left."""
        work = MOST_WORK
        for property_, variable, uses in self._properties:
            value, work = property_.find(row, work, uses)
            if value is not UNANSWERABLE:
                # A text with half of a surrogate pair, in an entry of another program, is no text of the library.
                with suppress(ValueError):
                    add_variable(variable, value)
        return work


def compile_filter(text: str, *, names: Collection[str] = MESSAGE_NAMES, parameter: str = "filter") -> EventFilter:
    """Return a filter, ready to be used.

    Args:
        text: an expression of the subset of CEL that docs/filters.md describes.
        names: what it can name.
        parameter: the parameter that the text comes from.

    Raises:
        BadFilterExpression: when it cannot be parsed, or could take long; with the place and the way out.
    """
    try:
        return _compile(text, names)
    except BadFilterExpression as error:
        error.members["parameter"] = parameter
        raise


def _of_query(text: Any, info: ValidationInfo) -> Any:
    return compile_filter(text, parameter=info.field_name or "filter") if isinstance(text, str) else text


QueryFilter = Annotated[
    SkipValidation[InstanceOf[EventFilter] | None],
    BeforeValidator(_of_query),
    WithJsonSchema({"type": "string", "maxLength": MOST_CHARACTERS}),
]
"""A filter in a query."""
FILTER_HELP = (
    'Only {} that meet this expression of a subset of CEL, such as `event.status == "failed" && event.attempts > 3` '
    "(docs/filters.md). PII that the caller may not see is masked for it."
)
"""The description of such a parameter; in braces, the things that are selected."""


def _compile(text: str, names: Collection[str]) -> EventFilter:
    reader = _PropertyReader(read_tokens(text), names)
    tokens, properties = reader.read()
    # Variables in place of properties, and each token where it was.
    written = ""
    for token in tokens:
        written = written.ljust(token.start) + token.text
    _check(written, tokens)
    return EventFilter(text, properties, ConditionReader(tokens, written).read())


def _check(written: str, tokens: list[Token]) -> None:
    """Let the library parse a filter, and refuse unknown variables, functions and operators."""
    try:
        found = load_cel().compile(written).references()
    except ValueError as error:
        place = _PLACE.search(str(error))
        at = int(place[1]) - 1 if place else 0
        raise BadFilterExpression(_sentence(place[2] if place else "", at, tokens), at=at) from None
    except BaseException as error:
        if is_panic(error):
            raise BadFilterExpression("the filter cannot be parsed.", at=0) from None
        raise
    known = {token.text for token in tokens if token.kind == "variable"}
    if not known.issuperset(found["variables"]) or not _OPERATORS.union(FUNCTIONS).issuperset(found["functions"]):
        raise BadFilterExpression("the filter uses something that is not accepted.", at=0)


def _sentence(message: str, at: int, tokens: list[Token]) -> str:
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
    """Say whether a token beside a comparison is no part of its operands."""
    return token.kind == "end" or token.is_("&&", "||", "?", ":", ",", *brackets)


def _calls(function: str) -> Collection[tuple[bool, int]]:
    """Return how a function can be called: as a method of something, and with how many arguments."""
    if function in _OF_TEXTS:
        return ((True, 1),)
    if function in _OF_TIMES:
        return ((True, 0),)
    # Of other values than properties, the library would count the bytes of a text.
    return ((False, 1),) if function in _CONVERSIONS else ()


def _example(function: str) -> str:
    if function in _OF_TEXTS:
        return f'event.name.{function}("x")'
    if function in _OF_TIMES:
        return f"timestamp(event.at).{function}()"
    return f"{function}(event.coupon)"


class _PropertyReader:
    """Finds the properties in the tokens of a filter, and puts a variable in place of each."""

    def __init__(self, tokens: list[Token], names: Collection[str]) -> None:
        self._tokens = tokens
        self._names = names
        self._at = 0
        self._variables: dict[Property, str] = {}

    def read(self) -> tuple[list[Token], list[tuple[Property, str, int]]]:
        """Return the tokens with variables, and of each property its variable and how often it is used.

        Raises:
            BadFilterExpression: when there is an unknown name or function, or a loop.
        """
        found = []
        while self._at < len(self._tokens):
            found.append(self._next())
        uses = Counter(token.text for token in found if token.kind == "variable")
        return found, [(each, name, uses[name]) for each, name in self._variables.items()]

    def _next(self) -> Token:
        token, following = self._tokens[self._at], self._peek(1)
        if token.kind == "name" and following.is_("("):
            return self._function(token)
        if token.kind == "text" and following.text == "in" and (question := self._membership(token)):
            return question
        is_member = self._at > 0 and self._tokens[self._at - 1].is_(".")
        if token.kind != "name" or token.text in _CONSTANTS or is_member:
            self._at += 1
            return token
        path, self._at = read_path(self._tokens, self._at, self._names)
        return self._property(token, path)

    def _function(self, token: Token) -> Token:
        """Return the token of a function; of a question about a property, a variable for all of it."""
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
        is_method = self._at > 0 and self._tokens[self._at - 1].is_(".")
        if token.text in ("has", "size") and not is_method and (question := self._question(token)):
            return question
        if (is_method, self._count_arguments()) not in _calls(token.text):
            # With others it has no answer for any event.
            raise BadFilterExpression(f"“{token.text}” is used as in {_example(token.text)}.", at=token.start)
        self._at += 1
        return token

    def _count_arguments(self) -> int:
        """Return how many arguments the function at the current token has."""
        if self._peek(2).is_(")"):
            return 0
        depth, commas, at = 0, 0, self._at + 1
        while depth or at == self._at + 1:
            depth += self._tokens[at].nesting
            commas += depth == 1 and self._tokens[at].is_(",")
            at += 1
        return commas + 1

    def _question(self, token: Token) -> Token | None:
        """Return the variable for a function of a property; None when its argument is something else."""
        if not self._is_property(2):
            return None
        path, end = read_path(self._tokens, self._at + 2, self._names)
        if not self._tokens[end].is_(")"):
            return None
        self._at = end + 1
        return self._variable(token, Property(path=path, question="has" if token.text == "has" else "size"))

    def _membership(self, token: Token) -> Token | None:
        """Return the variable for whether a text is in a property; None when more is compared than that."""
        if not self._is_property(2):
            return None
        path, end = read_path(self._tokens, self._at + 2, self._names)
        before = self._tokens[self._at - 1] if self._at else self._tokens[-1]
        if not (_ends_operand(before, *_OPENING) and _ends_operand(self._tokens[end], *_CLOSING)):
            return None
        self._at = end
        return self._variable(token, Property(path=path, question="in", item=text_of(token)))

    def _property(self, token: Token, path: tuple[str | int, ...]) -> Token:
        """Return the variable of a property, with the method that is called on it where that is a question."""
        dot, method, opening, first, second = (self._peek(each) for each in range(5))
        if dot.is_(".") and opening.is_("("):
            if method.text == "size" and first.is_(")"):
                self._at += 4
                return self._variable(token, Property(path=path, question="size"))
            if method.text == "matches" and first.kind == "text" and second.is_(")"):
                self._at += 5
                pattern = read_pattern(first)
                return self._variable(token, Property(path=path, question="matches", pattern=pattern))
        return self._variable(token, Property(path=path))

    def _is_property(self, further: int) -> bool:
        token = self._peek(further)
        return token.kind == "name" and token.text not in _CONSTANTS and not self._peek(further + 1).is_("(")

    def _variable(self, token: Token, property_: Property) -> Token:
        name = self._variables.setdefault(property_, _VARIABLES[len(self._variables)])
        return Token("variable", name, token.start)

    def _peek(self, further: int) -> Token:
        return self._tokens[min(self._at + further, len(self._tokens) - 1)]
