"""Infer a schema from events: it accepts every observed value, and declares the properties that all of them share.

An observation has the statistics of the values at each place of many events. Its size is bounded, and the order of the
values does not matter.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from synapse.schema.pii import MARK, Marks
from synapse.schema.references import DRAFT_2020_12
from synapse.schema.validator import MAX_SCHEMA_BYTES, canonical_text

# Places below this depth are not distinguished: a schema has about two levels for each level of an event.
DEEPEST = 20
# An object with this many names that only some of its kind have is a map, and its names are forgotten.
MOST_NAMES = 1000
MOST_WORDS = 10
# Texts that may be one of a few constants. Digits occur in versions and ids, of which there will be others.
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
        # For strings: the formats that all of them have, and the number of occurrences of each while all were words.
        self.formats: tuple[str, ...] = tuple(_FORMATS)
        self.words: Counter[str] | None = Counter()
        self.items: Observation | None = None
        self.properties: dict[str, Observation] = {}
        # The observation of values whose names were forgotten.
        self.others: Observation | None = None

    @property
    def times(self) -> int:
        """The number of observed values."""
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
        self.words = None if self.words is None or other.words is None else _few_words(self.words + other.words)
        self.items = _merge_both(self.items, other.items)
        self.others = _merge_both(self.others, other.others)
        for name, seen in other.properties.items():
            self.properties.setdefault(name, Observation()).merge(seen)
        self._forget_names()

    def always(self) -> set[str]:
        """Return the names that every object had."""
        return {name for name, seen in self.properties.items() if seen.times == self.objects}

    def sometimes(self) -> Iterator[tuple[str, "Observation"]]:
        """Yield the names that only some of the objects had, with their observations."""
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
        """Merge the observations of names that only some objects have, when there are too many of them."""
        if self.others is None and sum(1 for _ in self.sometimes()) <= MOST_NAMES:
            return
        self.others = self.others or Observation()
        for name, seen in list(self.sometimes()):
            self.others.merge(seen)
            del self.properties[name]


def _merge_both(one: Observation | None, other: Observation | None) -> Observation | None:
    if other is None:
        return one
    result = one or Observation()
    result.merge(other)
    return result


def _few_words(words: Counter[str]) -> Counter[str] | None:
    return words if len(words) <= MOST_WORDS else None


def _has_format(text: str, name: str) -> bool:
    # By RFC 3986 “user:42” is a URI, too, but hardly any publisher means that.
    return (name != "uri" or "://" in text) and _FORMATS[name].is_valid(text)


# Fewer strings than this may have a format in common by accident, and fewer words may have few values.
ENOUGH_FOR_A_FORMAT = 5
ENOUGH_FOR_AN_ENUM = 50
EACH_IN_AN_ENUM = 3
# From this number of names on, an object may be a map: names that are sparse and whose values have one type, or very
# many names.
MAP_NAMES, SURELY_A_MAP = 20, 100
# Names of publishers or pieces of work: a new one is not a new kind of event.
_NEVER_AN_ENUM = frozenset({"source", "correlation_id"})
_NOTES = ("title", "description", "default", "examples", "deprecated", "$comment", MARK)
# The number of items that may have a PII mark of their own.
_PREFIX = 100
_DEPTHS = (DEEPEST, 8, 4, 2, 1, 0)

Document = dict[str, Any]


def propose(
    seen: Observation,
    event_type: str,
    *,
    like: Mapping[str, Any] | None = None,
    marks: Marks | None = None,
    quotes: bool = True,
) -> Document:
    """Return a schema (2020-12) that accepts every observed event. All events are of this type.

    `like` is a schema that people wrote for such events: the result has its titles, descriptions, marks and order.
    `marks` are the PII marks of that schema with its references: the places that they cover are marked in the result.
    Without `quotes`, the schema contains no words of events. Objects stay open. Very deep or very large values are
    described less deeply, so that the schema is not too large to be saved.
    """
    title = " ".join(event_type.replace("_", "-").replace(".", "-").replace(":", "-").split("-")).strip() or event_type
    for depth in _DEPTHS:
        document = {
            "$schema": DRAFT_2020_12,
            "title": title[:1].upper() + title[1:],
            **_describe(seen, depth, name=None, quotes=quotes),
        }
        _name_the_type(document, event_type)
        if like is not None:
            document = _copy_annotations(document, like)
        document = _copy_marks(document, marks)
        if len(canonical_text(document).encode()) <= MAX_SCHEMA_BYTES:
            break
    return document


def _name_the_type(document: Document, event_type: str) -> None:
    named = {"event_type": {"type": "string", "const": event_type}}
    document["required"] = list(dict.fromkeys(["event_type", *document.pop("required", [])]))
    document["properties"] = {**named, **document.pop("properties", {}), **named}


def _describe(seen: Observation, depth: int, *, name: str | None, quotes: bool) -> Document:
    """Return the schema of the observation of a property. `name` is None for the event itself."""
    types = _types_of(seen)
    if not types:
        return {}
    document: Document = {"type": types[0] if len(types) == 1 else types}
    document.update(_of_strings(seen, types, name, quotes=quotes))
    if depth > 0 and seen.items is not None:
        document["items"] = _describe(seen.items, depth - 1, name="", quotes=quotes)
    if depth > 0 and seen.objects:
        document.update(_of_objects(seen, depth, root=name is None, quotes=quotes))
    return document


def _types_of(seen: Observation) -> list[str]:
    counts = {
        "boolean": seen.booleans,
        "integer": 0 if seen.floats else seen.integers,
        "number": seen.floats,
        "string": seen.strings,
        "array": seen.arrays,
        "object": seen.objects,
        "null": seen.nulls,
    }
    return [name for name, count in counts.items() if count]


def _of_strings(seen: Observation, types: list[str], name: str | None, *, quotes: bool) -> Document:
    if seen.strings >= ENOUGH_FOR_A_FORMAT and seen.formats:
        return {"format": seen.formats[0]}
    words = seen.words
    # An enum applies to all types at once, so only null can be among the words.
    if not quotes or words is None or name in _NEVER_AN_ENUM or not {"string", "null"}.issuperset(types):
        return {}
    if len(words) < 2 or seen.strings < ENOUGH_FOR_AN_ENUM or min(words.values()) < EACH_IN_AN_ENUM:
        return {}
    return {"enum": [*sorted(words), *([None] if seen.nulls else [])]}


def _of_objects(seen: Observation, depth: int, *, root: bool, quotes: bool) -> Document:
    always = seen.always()
    sometimes = dict(seen.sometimes())
    document: Document = {}
    if values := _map_values(seen, sometimes, root=root):
        sometimes = {}
        document["additionalProperties"] = _describe(values, depth - 1, name="", quotes=quotes)
    # A name with NUL could not be saved; objects are open, so events with it are still accepted.
    required = sorted(name for name in always if "\0" not in name)
    names = required + sorted(name for name in sometimes if "\0" not in name)
    properties = {name: _describe(seen.properties[name], depth - 1, name=name, quotes=quotes) for name in names}
    return {
        **({"required": required} if required else {}),
        **({"properties": properties} if properties else {}),
        **document,
    }


def _map_values(seen: Observation, sometimes: Mapping[str, Observation], *, root: bool) -> Observation | None:
    """Merge the observations of names that only some objects have, when the names look like keys of a map."""
    if seen.others is None and not _are_keys(seen, sometimes, root=root):
        return None
    values = Observation()
    for part in (*sometimes.values(), *([seen.others] if seen.others else [])):
        values.merge(part)
    return values


def _are_keys(seen: Observation, names: Mapping[str, Observation], *, root: bool) -> bool:
    used = sum(part.times for part in names.values())
    sparse = used * 2 <= len(names) * seen.objects
    if root or len(names) >= SURELY_A_MAP:
        return sparse and len(names) >= SURELY_A_MAP
    kinds = {tuple(_kinds_of(part)) for part in names.values()} - {()}
    return sparse and len(names) >= MAP_NAMES and len(kinds) == 1


def _kinds_of(seen: Observation) -> Iterable[str]:
    return ("number" if kind == "integer" else kind for kind in _types_of(seen) if kind != "null")


def _copy_annotations(document: Document, like: Any) -> Document:
    """Return the schema with the annotations and the order of another schema, place by place."""
    if not isinstance(like, Mapping):
        return document
    notes = {word: like[word] for word in _NOTES if word in like}
    if "$schema" in document:
        head = {"$schema": document["$schema"], "title": document["title"]}
        document = {**head, **notes, **document, **notes}
    else:
        document = {**document, **notes}
    for word in ("items", "additionalProperties"):
        if word in document:
            document[word] = _copy_annotations(document[word], like.get(word))
    if "properties" in document:
        known = like.get("properties")
        known = known if isinstance(known, Mapping) else {}
        ordered = _in_order(document["properties"], known)
        document["properties"] = {
            name: _copy_annotations(document["properties"][name], known.get(name)) for name in ordered
        }
    if "required" in document:
        required = like.get("required")
        document["required"] = _in_order(document["required"], required if isinstance(required, list) else [])
    return document


def _copy_marks(document: Document, marks: Marks | None) -> Document:
    """Return the schema with a mark at each place that the marks cover."""
    if marks is None:
        return document
    types = document.get("type", ())
    # A text or a number at a place where an object with a mark was described is masked as a whole.
    is_leaf = not {"object", "array", "boolean", "null"}.issuperset([types] if isinstance(types, str) else types)
    if marks.is_personal or is_leaf:
        return {**document, MARK: document.get(MARK) or True}
    if "properties" in document:
        named = document["properties"].items()
        document["properties"] = {name: _copy_marks(each, marks.of_name(name)) for name, each in named}
    if "additionalProperties" in document and marks.has_names:
        # Names that were observed and then forgotten: some of them may be marked.
        document["additionalProperties"] = _copy_marks(document["additionalProperties"], marks.everything)
    if "items" in document and marks.has_items:
        found = {id(each): each for number in range(_PREFIX) if (each := marks.of_item(number)) is not None}
        below = [*found.values()]
        document["items"] = _copy_marks(document["items"], below[0] if len(below) == 1 else marks.everything)
    return document


def _in_order(names: Iterable[str], known: Iterable[Any]) -> list[str]:
    """Return the names, known names first and in their order."""
    found = dict.fromkeys(names)
    first = dict.fromkeys(name for name in known if name in found)
    return [*first, *(name for name in found if name not in first)]
