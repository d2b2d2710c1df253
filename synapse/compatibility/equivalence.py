"""Compare two schemas for equality, without annotations.

References are followed instead of compared: two schemas are equal when no path through them leads to a difference. A
pair that is already being compared counts as equal. If a difference is found, every result that depends on such an
assumption is dropped.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from synapse.compatibility.budget import Budget
from synapse.compatibility.keywords import ANNOTATIONS, DRAFT_7, HOLD_A_LIST, HOLD_A_MAP, HOLD_A_SCHEMA, escaped
from synapse.compatibility.schema_model import Node

_DYNAMIC = ("$dynamicRef", "$recursiveRef")
_NAMES = ("$id", "id", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary")

_PAIRS_A_STEP = 4

Pair = tuple[Node, Node]


class EquivalenceChecker:
    """Compares schemas, and remembers the results."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._same: set[Pair] = set()
        self._different: set[Pair] = set()
        self._compared = 0

    def are_same(self, one: Node, other: Node) -> bool:
        """Say whether two schemas are equivalent."""
        if one is other or (one, other) in self._same:
            return True
        if one.draft != other.draft or (one, other) in self._different:
            return False
        # Each pair with the pair that it is a part of. The nearest parts come first, because they differ most often.
        assumed: dict[Pair, Pair | None] = {(one, other): None}
        waiting = deque(assumed)
        while waiting:
            pair = waiting.popleft()
            self._compared += 1
            if self._compared % _PAIRS_A_STEP == 0:
                self.budget.spend()
            following = None if pair in self._different else _compare(*pair)
            if following is None:
                self._differ(pair, assumed)
                return False
            new = [it for it in following if it not in assumed and it not in self._same and it[0] is not it[1]]
            assumed.update(dict.fromkeys(new, pair))
            waiting += new
        self._same.update(assumed)
        return True

    def _differ(self, pair: Pair | None, within: Mapping[Pair, Pair | None]) -> None:
        """Remember a difference of a part, and so of everything that contains it."""
        while pair is not None:
            self._different.add(pair)
            pair = within[pair]


def _compare(one: Node, other: Node) -> list[Pair] | None:
    """Return the parts that have to be equal too, or `None` for a difference."""
    if one.text is not None and one.text == other.text:
        return []
    if not isinstance(one.schema, dict) or not isinstance(other.schema, dict):
        return [] if one.schema is other.schema else None
    mine, theirs = _telling(one), _telling(other)
    if mine.keys() != theirs.keys():
        return None
    following: list[Pair] = []
    for keyword in mine:
        parts = _compare_keyword(one, other, keyword)
        if parts is None:
            return None
        following += parts
    return following


def _telling(node: Node) -> dict[str, Any]:
    if node.draft <= DRAFT_7 and "$ref" in node.schema:
        return {"$ref": node.schema["$ref"]}
    return {keyword: value for keyword, value in node.schema.items() if keyword not in ANNOTATIONS}


def _compare_keyword(one: Node, other: Node, keyword: str) -> list[Pair] | None:
    mine, theirs = one.schema[keyword], other.schema[keyword]
    if keyword in _NAMES:
        return []
    if keyword == "$ref" or keyword in _DYNAMIC:
        first, second = one.resolve(keyword), other.resolve(keyword)
        if first is not None and second is not None:
            return [(first, second)]
        return [] if mine == theirs and one.leads_to_metaschema and other.leads_to_metaschema else None
    if keyword in HOLD_A_SCHEMA and isinstance(mine, (dict, bool)) and isinstance(theirs, (dict, bool)):
        return [(one.below("/" + keyword, mine), other.below("/" + keyword, theirs))]
    if keyword in HOLD_A_LIST and isinstance(mine, list) and isinstance(theirs, list):
        if len(mine) != len(theirs):
            return None
        places = [f"/{keyword}/{index}" for index in range(len(mine))]
        return [(one.below(at, a), other.below(at, b)) for at, a, b in zip(places, mine, theirs, strict=True)]
    if keyword in HOLD_A_MAP and isinstance(mine, dict) and isinstance(theirs, dict):
        return _compare_maps(one, other, keyword)
    return [] if _text(mine) == _text(theirs) else None


def _compare_maps(one: Node, other: Node, keyword: str) -> list[Pair] | None:
    mine, theirs = one.schema[keyword], other.schema[keyword]
    if mine.keys() != theirs.keys():
        return None
    pairs = []
    for name, schema in mine.items():
        if isinstance(schema, (dict, bool)) and isinstance(theirs[name], (dict, bool)):
            at = f"/{keyword}/{escaped(name)}"
            pairs.append((one.below(at, schema), other.below(at, theirs[name])))
        elif _text(schema) != _text(theirs[name]):
            return None
    return pairs


def _text(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return repr(value).encode()
