"""Finding regular expressions that backtracking engines match in exponential time, although the validator takes linear
time.

Clients in every language use a schema, and most of their engines try the paths through a pattern one after the other.
In `(a+)+$`, n letters can be divided into iterations of the group in 2^n ways, and all of them are tried before the
answer "no". So an unbounded repetition is refused when a text can be divided into its iterations in more than one way:
when a complete iteration could continue with a letter that could also begin the next one, or when two of its
alternatives can match the same text. This is a heuristic: it may miss such a pattern, and it may refuse a harmless one,
which can be rewritten so that each iteration begins with a distinct letter.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import prod
from re import _parser  # type: ignore[attr-defined]  # typeshed knows it by the name that Python is giving up
from typing import Any

from synapse.errors.contracts import BadSchema
from synapse.schema.ecma_patterns import PROPERTY, NotEcma, parts_beyond_the_engine
from synapse.schema.jsonschema_engine import PATTERN_MEMORY, takes_pattern
from synapse.schema.references import HOLD_MAPS
from synapse.schema.violations import json_pointer

# Repetitions of up to this many iterations are harmless.
_FEW = 10
# At most this many alternatives are compared with each other.
_MOST_WHOLES = 100
_LONGEST = 64
_UNIVERSE = frozenset(map(chr, range(128))) | frozenset("éΩя中٣\u00a0")
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda it: it.isalnum() or it == "_",
}
_SCHEMA = (
    *("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
# Escapes of Rust and JavaScript, with those of Python.
_WRITTEN_OTHERWISE = (
    (re.compile(r"\\p(\{[^}]*\}|\w)"), r"\\w"),
    (re.compile(r"\\P(\{[^}]*\}|\w)"), r"\\W"),
    (re.compile(r"\(\?<(?=\w)"), "(?P<"),
    (re.compile(r"\\z"), r"\\Z"),
)

_COUNTS = re.compile(r"\{\d*,?(\d+)")
MOST_PLACES = 30_000
"""How many letters all patterns of a schema may have, when their repetitions are written out: the engine takes about 50
MB of memory for so many."""
# The memory for a letter of a Unicode property, as a multiple of that for another letter: it has hundreds of ranges.
_PROPERTY, _PLACES_OF_PROPERTY = re.compile(r"\\[pP]\{"), 30
# At most this many positions are distinguished.
_MANY = 1_000_000

Letters = frozenset[str]


def refuse_exponential(document: Mapping[str, Any]) -> None:
    """Check that no pattern of a valid schema seems to take exponential time in other engines.

    Raises:
        BadSchema: when one does, with its place.
    """
    for pattern, place in _patterns_of(document):
        if is_exponential(pattern):
            raise BadSchema(
                f"The pattern “{pattern[:200]}” can match the same text in more than one way again and again, so "
                "engines that backtrack would take exponential time. Write it so that each turn of a repetition "
                "begins with something that cannot continue the turn before.",
                pointer=json_pointer(place),
            )


def refuse_large(document: Mapping[str, Any]) -> None:
    """Check that the patterns of a schema, which need not be valid, are small enough to be compiled.

    Raises:
        BadSchema: when all patterns together, with repetitions written out, are too large.
    """
    # The schema was not checked yet, so there may be any value in place of a pattern.
    places = 0
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, Mapping):
            waiting += node.values()
            found = node.get("patternProperties")
            texts = [*(found if isinstance(found, Mapping) else ()), node.get("pattern")]
            for text in texts:
                if isinstance(text, str):
                    places += _measure(text)[0] * (_PLACES_OF_PROPERTY if _PROPERTY.search(text) else 1)
    if places > MOST_PLACES:
        raise BadSchema(
            f"The patterns of the schema have {places} places when their repetitions are written out, those of a "
            f"pattern with “\\p” counted {_PLACES_OF_PROPERTY} times; up to {MOST_PLACES} are accepted. Use “*” and "
            "“+” with “maxLength” in place of large counts."
        )


def reason_of_refusal(pattern: str) -> str:
    """Return a sentence that says why the validator does not accept a pattern."""
    shown = f"The pattern “{pattern[:200]}” cannot be used"
    try:
        beyond = parts_beyond_the_engine(pattern)
    except NotEcma as error:
        return f"{shown}: {error}."
    if beyond:
        return f"{shown}: {beyond[0]}."
    for found in PROPERTY.finditer(pattern):
        if not takes_pattern(name := f"\\{found[0]}"):
            return f"{shown}: the validator does not know the property “{name}”."
    return (
        f"{shown}: written out, its repetitions have {_measure(pattern)[0]} places, and it takes more than the "
        f"validator's limit of {PATTERN_MEMORY // 2**20} MiB of memory, or its groups are nested too deeply. Use “*” "
        "or “+” with “maxLength” in place of large counts."
    )


def refuse_foreign(document: Mapping[str, Any]) -> None:
    """Check that all patterns of a valid schema conform to the recommended grammar (2020-12 core, 6.4).

    Raises:
        BadSchema: when one does not, with its place, because validators in every language use a contract.
    """
    for pattern, place in _patterns_of(document):
        try:
            parts_beyond_the_engine(pattern)
        except NotEcma as error:
            raise BadSchema(
                f"The pattern “{pattern[:200]}” is no ECMA 262, so validators of other languages would take it "
                f"otherwise, or not at all: {error}.",
                pointer=json_pointer(place),
            ) from None


def matching_width(pattern: str) -> int:
    """Return an upper bound of the number of positions in the pattern that a linear-time engine examines for one
    letter.

    Such an engine follows all paths through a pattern at once. A repetition counts with all its iterations, since
    `(x{1,100}){1,100}` has 10,000 positions.
    """
    return _measure(pattern)[1]


@lru_cache(maxsize=4096)
def _measure(pattern: str) -> tuple[int, int]:
    """Return the number of positions in a pattern, and the number at which an engine may be at once."""
    for form, ours in _WRITTEN_OTHERWISE:
        pattern = form.sub(ours, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Width.of_pattern(_parser.parse(pattern))
    except (re.error, OverflowError, RecursionError):
        # The pattern is not understood here: count each letter as a position, and multiply by each count.
        places = _at_most(len(pattern) * prod(int(count[:6]) or 1 for count in _COUNTS.findall(pattern)))
        return places, places


def is_exponential(pattern: str) -> bool:
    """Say whether a text can be divided into iterations of the pattern in more than one way; False for a pattern that
    cannot be parsed.
    """
    for form, ours in _WRITTEN_OTHERWISE:
        pattern = form.sub(ours, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning about syntax that Python may read differently in future
            _part_of_sequence(_parser.parse(pattern))
    except _Ambiguous:
        return True
    except (re.error, OverflowError, RecursionError):
        return False
    return False


class _Ambiguous(Exception):
    """A text can be divided into iterations of a repetition in more than one way."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a pattern.

    It has whether the part can be empty, its possible first letters, and the letters that can continue a text that it
    has matched already. `wholes` are its possible texts as sequences of letter sets, if they are known.
    """

    is_optional: bool = True
    begins: Letters = frozenset()
    further: Letters = frozenset()
    wholes: tuple[tuple[Letters, ...], ...] = ((),)


def _part_of_sequence(parsed: Any) -> _Part:
    """Return the parts of a sequence as one part."""
    found = _Part()
    for kind, value in parsed:
        found = _join_parts(found, _read_one(str(kind), value))
    return found


def _join_parts(one: _Part, other: _Part) -> _Part:
    further = other.further
    if other.is_optional:
        further |= one.further
        if one.begins:
            further |= other.begins
    wholes: tuple[tuple[Letters, ...], ...] = ()
    if len(one.wholes) * len(other.wholes) <= _MOST_WHOLES and all(len(each) < _LONGEST for each in one.wholes):
        wholes = tuple(first + second for first in one.wholes for second in other.wholes)
    return _Part(
        is_optional=one.is_optional and other.is_optional,
        begins=one.begins | other.begins if one.is_optional else one.begins,
        further=further,
        wholes=wholes,
    )


def _read_one(kind: str, value: Any) -> _Part:
    match kind:
        case "LITERAL" | "NOT_LITERAL" | "IN" | "ANY":
            letters = _letters_of(kind, value)
            return _Part(is_optional=False, begins=letters, wholes=((letters,),))
        case "SUBPATTERN":
            return _part_of_sequence(value[-1])
        case "BRANCH":
            parts = [_part_of_sequence(each) for each in value[1]]
            return _Part(
                is_optional=any(part.is_optional for part in parts),
                begins=frozenset().union(*(part.begins for part in parts)),
                further=frozenset().union(*(part.further for part in parts)),
                wholes=tuple(whole for part in parts for whole in part.wholes),
            )
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _repeat(*value)
    return _Part()


def _repeat(least: int, most: int, parsed: Any) -> _Part:
    part = _part_of_sequence(parsed)
    if most > _FEW and most != least and _is_cut_in_several_ways(part):
        raise _Ambiguous
    wholes: tuple[tuple[Letters, ...], ...] = ()
    if most == 1:
        wholes = part.wholes if least else (*part.wholes, ())
    return _Part(
        is_optional=part.is_optional or least == 0,
        begins=part.begins,
        further=part.further | part.begins if most > max(least, 1) else part.further,
        wholes=wholes,
    )


def _is_cut_in_several_ways(turn: _Part) -> bool:
    if turn.begins & turn.further:
        return True
    wholes = sorted(filter(None, turn.wholes), key=len)
    if len(wholes) > _MOST_WHOLES:
        return False
    return any(_are_alike(one, other, turn.begins) for one, other in combinations(wholes, 2))


def _are_alike(short: tuple[Letters, ...], long: tuple[Letters, ...], begins: Letters) -> bool:
    """Say whether two parts can match the same text, or one matches the other followed by the beginning of a next
    iteration.
    """
    if not all(a & b for a, b in zip(short, long, strict=False)):
        return False
    return len(short) == len(long) or bool(long[len(short)] & begins)


@dataclass(frozen=True, slots=True)
class _Width:
    """The positions that a part of a pattern occupies during matching.

    Attributes:
        places: the number of letters with each repetition written out.
        active: the number of positions at which the engine can be at once when it enters the part at only one letter.
        is_fixed: whether all texts that it matches have the same length.
    """

    places: int
    active: int
    is_fixed: bool
    part: _Part

    @classmethod
    def of_pattern(cls, parsed: Any) -> tuple[int, int]:
        width = cls.of(parsed)
        is_anchored = len(parsed) > 0 and str(parsed[0][0]) == "AT" and "BEGINNING" in str(parsed[0][1])
        return _at_most(width.places), _at_most(width.active if is_anchored else width.places)

    @classmethod
    def of(cls, parsed: Any) -> "_Width":
        found = cls(0, 0, True, _Part())
        for kind, value in parsed:
            found = found.then(cls.of_one(str(kind), value))
        return found

    @classmethod
    def of_one(cls, kind: str, value: Any) -> "_Width":
        part = _part_or_any(kind, value)
        if kind == "SUBPATTERN":
            return cls.of(value[-1])
        if kind == "BRANCH":
            branches = [cls.of(each) for each in value[1]]
            # Alternatives with a fixed length each may have different lengths.
            is_fixed = all(each.is_fixed for each in branches) and len({each.places for each in branches}) == 1
            places = sum(each.places for each in branches)
            return cls(places, sum(each.active for each in branches), is_fixed, part)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return cls.of(value[2]).repeat(value[0], value[1], part)
        if kind in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return cls(1, 1, True, part)
        return cls(0, 0, True, part)

    def then(self, other: "_Width") -> "_Width":
        # The other part is entered only once if one letter shows where the first part ends: all texts of the first part
        # have the same length, or none of them could continue with a letter with which the other part begins.
        is_entered_once = self.is_fixed or not (other.part.is_optional or self.part.further & other.part.begins)
        active = max(self.active, other.active) + 1 if is_entered_once else self.active + other.places
        if not self.places:
            active = other.active
        return _Width(
            self.places + other.places,
            active if other.places else self.active,
            self.is_fixed and other.is_fixed,
            _join_parts(self.part, other.part),
        )

    def repeat(self, least: int, most: int, part: _Part) -> "_Width":
        turns = max(least, 1) if most > _MANY else max(most, 1)
        places = _at_most(self.places * turns)
        # Each iteration ends at only one letter.
        is_plain = most == 1 or self.is_fixed or not (self.part.is_optional or self.part.further & self.part.begins)
        return _Width(places, self.active + 1 if is_plain else places, self.is_fixed and least == most, part)


def _part_or_any(kind: str, value: Any) -> _Part:
    """Return a part of a pattern. A part that can be divided in several ways counts as any text."""
    try:
        return _read_one(kind, value)
    except _Ambiguous:
        return _Part(is_optional=True, begins=_UNIVERSE, further=_UNIVERSE)


def _at_most(places: int) -> int:
    return min(places, _MANY)


def _letters_of(kind: str, value: Any) -> Letters:
    match kind:
        case "LITERAL":
            return frozenset(chr(value))
        case "NOT_LITERAL":
            return _UNIVERSE - {chr(value)}
        case "RANGE":
            return frozenset(it for it in _UNIVERSE if value[0] <= ord(it) <= value[1]) | {chr(value[0]), chr(value[1])}
        case "CATEGORY":
            _, negation, name = f"_{value}".replace("CATEGORY_", "").rpartition("NOT_")
            fits = _CATEGORIES[name.removeprefix("_")]
            return frozenset(it for it in _UNIVERSE if fits(it) != bool(negation))
        case "IN":
            is_negated = str(value[0][0]) == "NEGATE"
            found: Letters = frozenset().union(*(_letters_of(str(k), v) for k, v in value if str(k) != "NEGATE"))
            return _UNIVERSE - found if is_negated else found
    return _UNIVERSE - {"\n"}


def _patterns_of(document: Mapping[str, Any]) -> Iterator[tuple[str, list[str | int]]]:
    """Yield each pattern of a schema and its place. Enum values and examples are not schemas."""
    waiting: list[tuple[Any, list[str | int]]] = [(document, [])]
    while waiting:
        node, place = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        if isinstance(node.get("pattern"), str):
            yield node["pattern"], [*place, "pattern"]
        for word in HOLD_MAPS:
            for name, each in node[word].items() if isinstance(node.get(word), Mapping) else ():
                if word == "patternProperties":
                    yield name, [*place, word, name]
                waiting.append((each, [*place, word, name]))
        for word in _SCHEMAS:
            for number, each in enumerate(node[word]) if isinstance(node.get(word), list) else ():
                waiting.append((each, [*place, word, number]))
        waiting += [(node[word], [*place, word]) for word in _SCHEMA if word in node]
