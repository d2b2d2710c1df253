"""The tokens of a filter, with limits on their number and nesting.

The library does not report the size of an expression, and deep ones overflow the stack of the process. So a filter is
checked before the library parses it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from synapse.errors.streams import BadFilterExpression

MOST_CHARACTERS = 1000
MOST_NODES = 50
MOST_DEPTH = 16

Kind = Literal["name", "text", "number", "operator", "variable", "end"]

# CEL specification, Lexis, without comments, bytes, and texts in three quotes. Texts that the library could split
# differently, such as two adjacent ones, are refused.
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f]+)
  | (?P<text>(?:[rR](?:"[^"\n\r]*"|'[^'\n\r]*')|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*')(?!["']))
  | (?P<number>(?:0x[0-9a-fA-F]+|(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?)[uU]?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<operator>&&|\|\||==|!=|<=|>=|/(?!/)|[<>!+\-*%?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, ")]}"
# Tokens that are not nodes of the syntax tree.
_PUNCTUATION = frozenset(".,:()]}")
_HINTS = {
    "=": "“==” compares",
    "&": "“&&” is “and”",
    "|": "“||” is “or”",
    "`": 'write event["order-id"] for a name that is no identifier',
    "/": "there are no comments in a filter",
    **dict.fromkeys("\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb", 'texts stand in straight quotes, as in "failed"'),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a filter.

    Attributes:
        kind: its kind; a `variable` replaces a property, and `end` is the end of the filter.
        text: its text.
        start: the position of its first character, from 0.
    """

    kind: Kind
    text: str
    start: int

    def is_operator(self, *operators: str) -> bool:
        """Say whether the token is one of these operators."""
        return self.kind == "operator" and self.text in operators

    @property
    def nesting(self) -> int:
        """1 for an opening bracket, -1 for a closing one, otherwise 0."""
        return self.is_operator(*_OPENING) - self.is_operator(*_CLOSING)


def read_tokens(text: str) -> list[Token]:
    """Split a filter into tokens; the last one is its end.

    Raises:
        BadFilterExpression: when it has other characters, or is too long, too large or nested too deeply.
    """
    if len(text) > MOST_CHARACTERS:
        raise BadFilterExpression(
            f"A filter has at most {MOST_CHARACTERS} characters, and this one {len(text)}. Shorten it.",
            at=MOST_CHARACTERS,
        )
    tokens = [*_split(text), Token("end", "", len(text))]
    _check_nesting(tokens)
    nodes = [token for token in tokens[:-1] if not token.is_operator(*_PUNCTUATION)]
    if not nodes:
        raise BadFilterExpression("The filter is empty.", at=0)
    if len(nodes) > MOST_NODES:
        raise BadFilterExpression(
            f"A filter has at most {MOST_NODES} names, values, operators and functions, and this one {len(nodes)}. "
            "Split it, or shorten it.",
            at=nodes[MOST_NODES].start,
        )
    return tokens


def without_texts(text: str) -> str:
    """Return a filter with “…” in place of its texts, which may be PII.

    Raises:
        BadFilterExpression: as `read_tokens` does.
    """
    shown, end = "", 0
    for token in read_tokens(text):
        shown += text[end : token.start] + ('"…"' if token.kind == "text" else token.text)
        end = token.start + len(token.text)
    return shown


def _split(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unknown_character(text, place)
        if found.lastgroup != "space":
            yield Token(found.lastgroup, found[0], place)  # type: ignore[arg-type]
        place = found.end()


def _unknown_character(text: str, place: int) -> BadFilterExpression:
    found = text[place]
    if found in "\"'rR":
        return BadFilterExpression(
            "a text begins here, and is not closed by its quote, or is followed by another.", at=place
        )
    hint = _HINTS.get(found, "no part of a filter begins with it outside quotes")
    return BadFilterExpression(f"“{found}” was not expected; {hint}.", at=place)


def _check_nesting(tokens: list[Token]) -> None:
    open_: list[Token] = []
    for token in tokens:
        if token.is_operator(*_OPENING):
            open_.append(token)
            if len(open_) > MOST_DEPTH:
                raise BadFilterExpression(f"brackets are nested at most {MOST_DEPTH} deep.", at=token.start)
        elif token.is_operator(*_CLOSING) and (not open_ or _OPENING[open_.pop().text] != token.text):
            raise BadFilterExpression(f"“{token.text}” closes no bracket.", at=token.start)
    if open_:
        raise BadFilterExpression(f"“{open_[-1].text}” is not closed.", at=open_[-1].start)
