"""Makes numbers and strings at the limits of a shape, as candidates for witnesses.

The common parts of regular expressions are supported (literals, classes, groups, alternatives, repetition, anchors at
the ends); other patterns yield no text. The validator checks every sample before it is used.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, product

from synapse.compatibility import keywords, validators
from synapse.compatibility.shape import Shape

_CLASSES = {"d": "0123456789", "w": "abcxyz019_AZ", "s": " \t", "D": "a-", "W": "-. ", "S": "a0-"}
_ANY = "a0 -"
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PRINTABLE = [chr(code) for code in range(32, 127)]
_MOST_REPEATS = 2000
_WAYS = 3


class NotUnderstood(Exception):
    """The expression uses an unsupported construct."""


def matching_texts(pattern: str) -> Iterator[str]:
    """Yield texts that probably match the pattern, short ones first."""
    for way in range(_WAYS):
        try:
            yield _Parser(pattern, way).parse()
        except (NotUnderstood, IndexError, ValueError, OverflowError):
            return


class _Parser:
    """Parses a regular expression from left to right and writes a matching text; `way` chooses among the
    alternatives."""

    def __init__(self, pattern: str, way: int) -> None:
        self._rest = pattern
        self._way = way

    def parse(self) -> str:
        text = self._parse_alternatives()
        if self._rest:
            raise NotUnderstood
        return text

    def _parse_alternatives(self) -> str:
        options = [self._parse_sequence()]
        while self._skip_if("|"):
            options.append(self._parse_sequence())
        return options[self._way % len(options)]

    def _parse_sequence(self) -> str:
        parts: list[str] = []
        while self._rest and self._rest[0] not in "|)":
            atom = self._parse_atom()
            least, most = self._parse_repeats()
            times = min(least + self._way, most)
            if times * max(len(atom), 1) > _MOST_REPEATS * 10:
                raise NotUnderstood
            parts.append(atom * times)
        return "".join(parts)

    def _parse_atom(self) -> str:
        head = self._next_character()
        if head in "^$":
            return ""
        if head == ".":
            return self._one_of(_ANY)
        if head == "[":
            return self._one_of(self._parse_class())
        if head == "\\":
            return self._parse_escape()
        if head == "(":
            return self._parse_group()
        if head in "*+?{":
            raise NotUnderstood
        return head

    def _parse_group(self) -> str:
        if self._skip_if("?"):
            if self._skip_if("P<") or self._skip_if("<"):
                _, _, self._rest = self._rest.partition(">")
            elif not self._skip_if(":"):
                raise NotUnderstood
        text = self._parse_alternatives()
        if not self._skip_if(")"):
            raise NotUnderstood
        return text

    def _parse_escape(self) -> str:
        letter = self._next_character()
        if letter in _CLASSES:
            return self._one_of(_CLASSES[letter])
        if letter in "bAzBZ":
            return ""
        return self._parse_literal(letter)

    def _parse_literal(self, letter: str) -> str:
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "xu":
            digits = 2 if letter == "x" else 4
            code, self._rest = self._rest[:digits], self._rest[digits:]
            return chr(int(code, 16))
        if letter.isalnum():
            raise NotUnderstood
        return letter

    def _parse_class(self) -> str:
        is_negated = self._skip_if("^")
        found: list[str] = []
        while not self._skip_if("]") or not found:
            first = self._next_character()
            if first == "[":
                raise NotUnderstood
            if first == "\\":
                letter = self._next_character()
                if letter in _CLASSES:
                    found += _CLASSES[letter]
                    continue
                first = self._parse_literal(letter)
            if self._rest.startswith("-") and not self._rest.startswith("-]"):
                self._next_character()
                last = self._next_character()
                last = self._parse_literal(self._next_character()) if last == "\\" else last
                found += [first, last]
                found += [chr(code) for code in islice(range(ord(first), ord(last) + 1), 64)]
            else:
                found.append(first)
        return "".join(it for it in _PRINTABLE if it not in found) if is_negated else "".join(found)

    def _parse_repeats(self) -> tuple[int, int]:
        if self._skip_if("*"):
            least, most = 0, _MOST_REPEATS
        elif self._skip_if("+"):
            least, most = 1, _MOST_REPEATS
        elif self._skip_if("?"):
            least, most = 0, 1
        elif self._skip_if("{"):
            counts, _, self._rest = self._rest.partition("}")
            low, comma, high = counts.partition(",")
            least = int(low)
            most = int(high) if high else (_MOST_REPEATS if comma else least)
        else:
            return 1, 1
        self._skip_if("?")
        if least > _MOST_REPEATS:
            raise NotUnderstood
        return least, most

    def _one_of(self, characters: str) -> str:
        if not characters:
            raise NotUnderstood
        return characters[self._way % len(characters)]

    def _next_character(self) -> str:
        head, self._rest = self._rest[0], self._rest[1:]
        return head

    def _skip_if(self, text: str) -> bool:
        if self._rest.startswith(text):
            self._rest = self._rest[len(text) :]
            return True
        return False


_LONGEST = 20_000
_WORDS = ("a", "", "abc", "A b-1", "0", "ä", "1a")
_HUGE = 1e300


def numbers_of(shape: Shape, near: float | None = None) -> Iterator[int | float]:
    """Return numbers that are probably of the shape."""
    ends = [bound.value for bound in (shape.lower, shape.upper) if bound is not None]
    asked = [*([near] if near is not None else []), *ends, 0, 1]
    centers = [center for center in asked if abs(center) <= _HUGE]
    seen: set[tuple[type, float]] = set()
    for number in _numbers_around(centers, shape):
        kind = keywords.kind_of(number)
        if kind & keywords.WHOLE and shape.types & keywords.INTEGER and abs(number) < 2**63:
            number = int(number)  # noqa: PLW2901
        if keywords.kind_of(number) & shape.types and (type(number), number) not in seen:
            seen.add((type(number), number))
            yield number
    if shape.types & keywords.WHOLE:
        yield from (float(center) for center in centers if abs(center) < 2**53 and float(center).is_integer())


def _numbers_around(centers: list[float], shape: Shape) -> Iterator[int | float]:
    step = shape.step if shape.types & keywords.FRACTION or shape.step != 1 else None
    for center in centers:
        if step is not None:
            start = math.floor(Fraction(center) / step) * step
            for times in (0, 1, -1, 2, 3, -3):
                number = start + times * step
                yield int(number) if number.denominator == 1 else float(number)
            continue
        yield center
        for distance in (1, 0.5, 0.25, 0.1, 0.001, 3):
            yield center - distance
            yield center + distance
    if step is None:
        yield from (_HUGE, -_HUGE, 0.1, 7)


def strings_of(shape: Shape, near: int | None = None) -> Iterator[str]:
    """Return strings that are probably of the shape."""
    lengths = [near, shape.shortest, shape.longest, shape.shortest + 1]
    wanted = [length for length in dict.fromkeys(lengths) if length is not None and 0 <= length <= _LONGEST]
    if shape.formats:
        for token in shape.formats:
            yield from validators.EXAMPLES.get(validators.name_of(token), _example_contents(token))
        return
    for pattern in shape.patterns:
        for text in matching_texts(pattern):
            yield text
            # A pattern without `$`, or with a repetition at its end, also matches the text with its last character
            # repeated.
            yield from (text + (text[-1:] or "a") * (length - len(text)) for length in wanted if length > len(text))
            yield from ("a" * (length - len(text)) + text for length in wanted if length > len(text))
    for length, character in product(wanted, "a0 "):
        yield character * length
    yield from _WORDS


def _example_contents(token: str) -> tuple[str, ...]:
    if "base64" in token:
        return ("MQ==", "")
    return ("1", "{}") if "json" in token else ()
