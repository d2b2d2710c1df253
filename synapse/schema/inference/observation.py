"""Statistics of the values at each place of many events. Their size is bounded, and the order of the values makes no
difference."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from synapse.schema.references import DRAFT_2020_12

# Deeper than this nothing is told apart: a schema has about two levels for each level of an event.
DEEPEST = 20
# An object that had so many names which not all of its kind have is a map, and its names are forgotten.
MOST_NAMES = 1000
MOST_WORDS = 10
# Texts that can be a constant of a few. Digits belong to versions and ids, of which there will be others.
_WORD = re.compile(r"[A-Za-z][A-Za-z_.:/-]{0,63}")

_FORMATS = {
    name: jsonschema_rs.validator_for({"$schema": DRAFT_2020_12, "format": name}, validate_formats=True)
    for name in ("date-time", "uuid", "uri", "email")
}


class Observation:
    """The statistics of one place: number of values, their types, and the observations of the places below it."""

    __slots__ = (
        "arrays",
        "booleans",
        "floats",
        "formats",
        "integers",
        "items",
        "nulls",
        "objects",
        "others",
        "properties",
        "strings",
        "words",
    )

    def __init__(self) -> None:
        self.nulls = self.booleans = self.integers = self.floats = self.strings = self.arrays = self.objects = 0
        # Of the strings: the formats that all of them have, and how often each was seen while all were words.
        self.formats: tuple[str, ...] = tuple(_FORMATS)
        self.words: Counter[str] | None = Counter()
        self.items: Observation | None = None
        self.properties: dict[str, Observation] = {}
        # The observation of values under names that were forgotten.
        self.others: Observation | None = None

    @property
    def times(self) -> int:
        """How many values were seen."""
        counts = (self.nulls, self.booleans, self.integers, self.floats, self.strings, self.arrays, self.objects)
        return sum(counts)

    def see(self, value: Any, *, depth: int = 0) -> None:
        """Add one more JSON value."""
        match value:
            case None:
                self.nulls += 1
            case bool():
                self.booleans += 1
            case int():
                self.integers += 1
            case float():
                self.floats += 1
            case str():
                self._see_string(value)
            case list():
                self.arrays += 1
                if depth < DEEPEST and value:
                    self.items = self.items or Observation()
                    for item in value:
                        self.items.see(item, depth=depth + 1)
            case dict():
                self._see_object(value, depth)

    def merge(self, other: "Observation") -> None:
        """Add the observation of another place to this one."""
        self.nulls += other.nulls
        self.booleans += other.booleans
        self.integers += other.integers
        self.floats += other.floats
        self.strings += other.strings
        self.arrays += other.arrays
        self.objects += other.objects
        self.formats = tuple(name for name in self.formats if name in other.formats)
        self.words = None if self.words is None or other.words is None else _few(self.words + other.words)
        self.items = _merged(self.items, other.items)
        self.others = _merged(self.others, other.others)
        for name, seen in other.properties.items():
            self.properties.setdefault(name, Observation()).merge(seen)
        self._forget_names()

    def always(self) -> set[str]:
        """Return the names that every object had."""
        return {name for name, seen in self.properties.items() if seen.times == self.objects}

    def sometimes(self) -> Iterator[tuple[str, "Observation"]]:
        """Yield the names that some of the objects had, with their observations."""
        return ((name, seen) for name, seen in self.properties.items() if seen.times < self.objects)

    def _see_string(self, text: str) -> None:
        self.strings += 1
        if self.formats:
            self.formats = tuple(name for name in self.formats if _has_format(text, name))
        if self.words is not None:
            self.words[text] += 1
            if len(self.words) > MOST_WORDS or not _WORD.fullmatch(text):
                self.words = None

    def _see_object(self, value: dict[str, Any], depth: int) -> None:
        self.objects += 1
        if depth >= DEEPEST:
            return
        known = len(self.properties)
        for name, part in value.items():
            seen = self.properties.get(name)
            if seen is None:
                if self.others is not None:
                    self.others.see(part, depth=depth + 1)
                    continue
                seen = self.properties[name] = Observation()
            seen.see(part, depth=depth + 1)
        if len(self.properties) > max(known, MOST_NAMES):
            self._forget_names()

    def _forget_names(self) -> None:
        """Merge the observations of names that not all objects have, when such names are too many."""
        if self.others is None and sum(1 for _ in self.sometimes()) <= MOST_NAMES:
            return
        self.others = self.others or Observation()
        for name, seen in list(self.sometimes()):
            self.others.merge(seen)
            del self.properties[name]


def _merged(one: Observation | None, other: Observation | None) -> Observation | None:
    if other is None:
        return one
    result = one or Observation()
    result.merge(other)
    return result


def _few(words: Counter[str]) -> Counter[str] | None:
    return words if len(words) <= MOST_WORDS else None


def _has_format(text: str, name: str) -> bool:
    # By the letter of RFC 3986 “user:42” is a URI, too; nearly no writer means that one.
    return (name != "uri" or "://" in text) and _FORMATS[name].is_valid(text)
