"""Find regular expressions that backtracking engines match in exponential time, although our validator takes linear
time.

A schema goes to clients of every language, and most of their engines try one way through a pattern after the other. In
`(a+)+$`, a run of n letters can be cut into turns of the group in 2^n ways, and all of them are tried before the answer
"no". So a repetition without end is refused when its parts can be cut in more than one way: when a complete turn could
continue with a letter that could also begin the next turn, or when two of its alternatives can be the same text. It is
a rule of thumb: it may miss such a pattern, and it may refuse a harmless one, which can be written so that each turn
begins with a letter of its own.
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

# Repetitions up to this many turns are no danger.
_FEW = 10
# More than these are not compared with each other.
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
# Rust's and JavaScript's ways to write what Python writes otherwise.
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
# The memory of a letter of a Unicode property, as a multiple of another's: it has hundreds of ranges.
_PROPERTY, _PLACES_OF_PROPERTY = re.compile(r"\\[pP]\{"), 30
# More than this many places are not told apart.
_MANY = 1_000_000

Letters = frozenset[str]


def refuse_exponential(document: Mapping[str, Any]) -> None:
    """Do nothing when no pattern of a valid schema is seen to take exponential time elsewhere.

    Raises:
        BadSchema: when one is, with its place.
    """
    for pattern, place in _patterns(document):
        if is_exponential(pattern):
            raise BadSchema(
                f"The pattern “{pattern[:200]}” can match the same text in more than one way again and again, so "
                "engines that backtrack would take exponential time. Write it so that each turn of a repetition "
                "begins with something that cannot continue the turn before.",
                pointer=json_pointer(place),
            )


def refuse_large(document: Mapping[str, Any]) -> None:
    """Do nothing when the patterns of a schema, which need not be valid, are small enough to be made ready.

    Raises:
        BadSchema: when they are too large together, written out.
    """
    # Any value where a pattern could be: the schema was not checked yet.
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
                    places += _measured(text)[0] * (_PLACES_OF_PROPERTY if _PROPERTY.search(text) else 1)
    if places > MOST_PLACES:
        raise BadSchema(
            f"The patterns of the schema have {places} places when their repetitions are written out, those of a "
            f"pattern with “\\p” counted {_PLACES_OF_PROPERTY} times; up to {MOST_PLACES} are accepted. Use “*” and "
            "“+” with “maxLength” in place of large counts."
        )


def reason_of_refusal(pattern: str) -> str:
    """Return in a sentence why the validator does not take a pattern."""
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
        f"{shown}: written out, its repetitions have {_measured(pattern)[0]} places, and it takes more than the "
        f"validator's limit of {PATTERN_MEMORY // 2**20} MiB of memory, or its groups are nested too deeply. Use “*” "
        "or “+” with “maxLength” in place of large counts."
    )


def refuse_foreign(document: Mapping[str, Any]) -> None:
    """Do nothing when all patterns of a valid schema are of the recommended grammar (2020-12 core, 6.4).

    Raises:
        BadSchema: when one is not, with its place: contracts go to validators of every language.
    """
    for pattern, place in _patterns(document):
        try:
            parts_beyond_the_engine(pattern)
        except NotEcma as error:
            raise BadSchema(
                f"The pattern “{pattern[:200]}” is no ECMA 262, so validators of other languages would take it "
                f"otherwise, or not at all: {error}.",
                pointer=json_pointer(place),
            ) from None


def matching_width(pattern: str) -> int:
    """Return at how many places of the pattern a linear-time engine may have to look for one letter of a text: an upper
    bound.

    Such an engine follows all ways through a pattern at once. A repetition counts as often as it is written out, since
    `(x{1,100}){1,100}` has 10,000 places.
    """
    return _measured(pattern)[1]


@lru_cache(maxsize=4096)
def _measured(pattern: str) -> tuple[int, int]:
    """Return the places of a pattern, and at how many of them an engine may be at once."""
    for form, ours in _WRITTEN_OTHERWISE:
        pattern = form.sub(ours, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Width.of_pattern(_parser.parse(pattern))
    except (re.error, OverflowError, RecursionError):
        # Not understood here: each letter is a place, and each count writes out all of them.
        places = _at_most(len(pattern) * prod(int(count[:6]) or 1 for count in _COUNTS.findall(pattern)))
        return places, places


def is_exponential(pattern: str) -> bool:
    """Say whether a repetition of the pattern can be cut in more than one way; False for a pattern that cannot be
    parsed."""
    for form, ours in _WRITTEN_OTHERWISE:
        pattern = form.sub(ours, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Python may understand otherwise in future
            _read(_parser.parse(pattern))
    except _CutInSeveralWays:
        return True
    except (re.error, OverflowError, RecursionError):
        return False
    return False


class _CutInSeveralWays(Exception):
    """A repetition can be cut into turns in more than one way."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a pattern: whether it can be empty, its possible first letters, and the letters that can continue a
    text that it has matched already. `wholes` are its possible texts, letter set after letter set, where they are
    known."""

    is_optional: bool = True
    begins: Letters = frozenset()
    further: Letters = frozenset()
    wholes: tuple[tuple[Letters, ...], ...] = ((),)


def _read(parsed: Any) -> _Part:
    """Return the parts of a sequence as one part."""
    found = _Part()
    for kind, value in parsed:
        found = _joined(found, _read_one(str(kind), value))
    return found


def _joined(one: _Part, other: _Part) -> _Part:
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
            letters = _letters(kind, value)
            return _Part(is_optional=False, begins=letters, wholes=((letters,),))
        case "SUBPATTERN":
            return _read(value[-1])
        case "BRANCH":
            parts = [_read(each) for each in value[1]]
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
    part = _read(parsed)
    if most > _FEW and most != least and _is_cut_in_several_ways(part):
        raise _CutInSeveralWays
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
    """Say whether two can be the same text, or one of them the other and the beginning of a next turn."""
    if not all(a & b for a, b in zip(short, long, strict=False)):
        return False
    return len(short) == len(long) or bool(long[len(short)] & begins)


@dataclass(frozen=True, slots=True)
class _Width:
    """How a part of a pattern spreads while it is matched.

    Attributes:
        places: how many letters it has when each repetition is written out.
        active: at how many of them the engine can be at once, when it enters the part at one letter of the text only.
        is_fixed: whether all texts that it matches have one length.
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
            found = found.followed_by(cls.of_one(str(kind), value))
        return found

    @classmethod
    def of_one(cls, kind: str, value: Any) -> "_Width":
        part = _quietly(kind, value)
        if kind == "SUBPATTERN":
            return cls.of(value[-1])
        if kind == "BRANCH":
            branches = [cls.of(each) for each in value[1]]
            # Alternatives of one length each may differ in it.
            is_fixed = all(each.is_fixed for each in branches) and len({each.places for each in branches}) == 1
            places = sum(each.places for each in branches)
            return cls(places, sum(each.active for each in branches), is_fixed, part)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return cls.of(value[2]).repeated(value[0], value[1], part)
        if kind in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return cls(1, 1, True, part)
        return cls(0, 0, True, part)

    def followed_by(self, other: "_Width") -> "_Width":
        # Entered once, when it is told by one letter where the first part ends: all texts of the first are equally
        # long, or none of them could continue with a letter that the other begins with.
        is_entered_once = self.is_fixed or not (other.part.is_optional or self.part.further & other.part.begins)
        active = max(self.active, other.active) + 1 if is_entered_once else self.active + other.places
        if not self.places:
            active = other.active
        return _Width(
            self.places + other.places,
            active if other.places else self.active,
            self.is_fixed and other.is_fixed,
            _joined(self.part, other.part),
        )

    def repeated(self, least: int, most: int, part: _Part) -> "_Width":
        turns = max(least, 1) if most > _MANY else max(most, 1)
        places = _at_most(self.places * turns)
        # Each turn ends at one letter only.
        is_plain = most == 1 or self.is_fixed or not (self.part.is_optional or self.part.further & self.part.begins)
        return _Width(places, self.active + 1 if is_plain else places, self.is_fixed and least == most, part)


def _quietly(kind: str, value: Any) -> _Part:
    """Return a part of a pattern; a part that can be cut in several ways counts as any text."""
    try:
        return _read_one(kind, value)
    except _CutInSeveralWays:
        return _Part(is_optional=True, begins=_UNIVERSE, further=_UNIVERSE)


def _at_most(places: int) -> int:
    return min(places, _MANY)


def _letters(kind: str, value: Any) -> Letters:
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
            found: Letters = frozenset().union(*(_letters(str(k), v) for k, v in value if str(k) != "NEGATE"))
            return _UNIVERSE - found if is_negated else found
    return _UNIVERSE - {"\n"}


def _patterns(document: Mapping[str, Any]) -> Iterator[tuple[str, list[str | int]]]:
    """Yield each pattern of a schema and its place. Listed values and examples are no schemas."""
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
