"""Texts that match a regular expression: a few, to be tried as witnesses.

Only what is common is understood (literals, classes, groups, alternatives, repetition, anchors at the ends); for the
rest there is no text. Whoever uses one asks the validator first.
"""

from collections.abc import Iterator
from itertools import islice

_CLASSES = {"d": "0123456789", "w": "abcxyz019_AZ", "s": " \t", "D": "a-", "W": "-. ", "S": "a0-"}
_ANY = "a0 -"
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PRINTABLE = [chr(code) for code in range(32, 127)]
_MOST_REPEATS = 2000
_WAYS = 3


class NotUnderstood(Exception):
    """The expression uses something that is not understood here."""


def texts(pattern: str) -> Iterator[str]:
    """Return texts that probably match the pattern, short ones first."""
    for way in range(_WAYS):
        try:
            yield _Parser(pattern, way).parse()
        except (NotUnderstood, IndexError, ValueError, OverflowError):
            return


class _Parser:
    """Reads an expression from left to right and writes a text; `way` chooses among what is possible."""

    def __init__(self, pattern: str, way: int) -> None:
        self._rest = pattern
        self._way = way

    def parse(self) -> str:
        text = self._alternatives()
        if self._rest:
            raise NotUnderstood
        return text

    def _alternatives(self) -> str:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[self._way % len(options)]

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._rest and self._rest[0] not in "|)":
            atom = self._atom()
            least, most = self._repeats()
            times = min(least + self._way, most)
            if times * max(len(atom), 1) > _MOST_REPEATS * 10:
                raise NotUnderstood
            parts.append(atom * times)
        return "".join(parts)

    def _atom(self) -> str:
        head = self._next()
        if head in "^$":
            return ""
        if head == ".":
            return self._one_of(_ANY)
        if head == "[":
            return self._one_of(self._class())
        if head == "\\":
            return self._escape()
        if head == "(":
            return self._group()
        if head in "*+?{":
            raise NotUnderstood
        return head

    def _group(self) -> str:
        if self._take("?"):
            if self._take("P<") or self._take("<"):
                _, _, self._rest = self._rest.partition(">")
            elif not self._take(":"):
                raise NotUnderstood
        text = self._alternatives()
        if not self._take(")"):
            raise NotUnderstood
        return text

    def _escape(self) -> str:
        letter = self._next()
        if letter in _CLASSES:
            return self._one_of(_CLASSES[letter])
        if letter in "bAzBZ":
            return ""
        return self._literal(letter)

    def _literal(self, letter: str) -> str:
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "xu":
            digits = 2 if letter == "x" else 4
            code, self._rest = self._rest[:digits], self._rest[digits:]
            return chr(int(code, 16))
        if letter.isalnum():
            raise NotUnderstood
        return letter

    def _class(self) -> str:
        is_negated = self._take("^")
        found: list[str] = []
        while not self._take("]") or not found:
            first = self._next()
            if first == "[":
                raise NotUnderstood
            if first == "\\":
                letter = self._next()
                if letter in _CLASSES:
                    found += _CLASSES[letter]
                    continue
                first = self._literal(letter)
            if self._rest.startswith("-") and not self._rest.startswith("-]"):
                self._next()
                last = self._next()
                last = self._literal(self._next()) if last == "\\" else last
                found += [first, last]
                found += [chr(code) for code in islice(range(ord(first), ord(last) + 1), 64)]
            else:
                found.append(first)
        return "".join(it for it in _PRINTABLE if it not in found) if is_negated else "".join(found)

    def _repeats(self) -> tuple[int, int]:
        if self._take("*"):
            least, most = 0, _MOST_REPEATS
        elif self._take("+"):
            least, most = 1, _MOST_REPEATS
        elif self._take("?"):
            least, most = 0, 1
        elif self._take("{"):
            counts, _, self._rest = self._rest.partition("}")
            low, comma, high = counts.partition(",")
            least = int(low)
            most = int(high) if high else (_MOST_REPEATS if comma else least)
        else:
            return 1, 1
        self._take("?")
        if least > _MOST_REPEATS:
            raise NotUnderstood
        return least, most

    def _one_of(self, characters: str) -> str:
        if not characters:
            raise NotUnderstood
        return characters[self._way % len(characters)]

    def _next(self) -> str:
        head, self._rest = self._rest[0], self._rest[1:]
        return head

    def _take(self, text: str) -> bool:
        if self._rest.startswith(text):
            self._rest = self._rest[len(text) :]
            return True
        return False
