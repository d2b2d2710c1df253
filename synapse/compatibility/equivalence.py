"""Compares two schemas for equality, ignoring annotations.

References are followed instead of compared: two schemas are equal when no path through them leads to a difference. A
pair that is being compared already is assumed to be equal; if a difference is found, results that depend on such an
assumption are dropped.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from synapse.compatibility.budget import Budget
from synapse.compatibility.keywords import ANNOTATIONS, DRAFT_7, HOLD_A_LIST, HOLD_A_MAP, HOLD_A_SCHEMA, escape_token
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
        # Each pair with the pair that contains it. Outer parts are compared first, because they differ most often.
        assumed: dict[Pair, Pair | None] = {(one, other): None}
        waiting = deque(assumed)
        while waiting:
            pair = waiting.popleft()
            self._compared += 1
            if self._compared % _PAIRS_A_STEP == 0:
                self.budget.spend()
            following = None if pair in self._different else _parts_to_compare(*pair)
            if following is None:
                self._mark_different(pair, assumed)
                return False
            new = [it for it in following if it not in assumed and it not in self._same and it[0] is not it[1]]
            assumed.update(dict.fromkeys(new, pair))
            waiting += new
        self._same.update(assumed)
        return True

    def _mark_different(self, pair: Pair | None, within: Mapping[Pair, Pair | None]) -> None:
        """Record a pair as different, and with it all pairs that contain it."""
        while pair is not None:
            self._different.add(pair)
            pair = within[pair]


def _parts_to_compare(one: Node, other: Node) -> list[Pair] | None:
    """Return the pairs of parts that have to be equal, or `None` for a difference."""
    if one.text is not None and one.text == other.text:
        return []
    if not isinstance(one.schema, dict) or not isinstance(other.schema, dict):
        return [] if one.schema is other.schema else None
    mine, theirs = _constraints_of(one), _constraints_of(other)
    if mine.keys() != theirs.keys():
        return None
    following: list[Pair] = []
    for keyword in mine:
        parts = _compare_keyword(one, other, keyword)
        if parts is None:
            return None
        following += parts
    return following


def _constraints_of(node: Node) -> dict[str, Any]:
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
    return [] if _serialize(mine) == _serialize(theirs) else None


def _compare_maps(one: Node, other: Node, keyword: str) -> list[Pair] | None:
    mine, theirs = one.schema[keyword], other.schema[keyword]
    if mine.keys() != theirs.keys():
        return None
    pairs = []
    for name, schema in mine.items():
        if isinstance(schema, (dict, bool)) and isinstance(theirs[name], (dict, bool)):
            at = f"/{keyword}/{escape_token(name)}"
            pairs.append((one.below(at, schema), other.below(at, theirs[name])))
        elif _serialize(schema) != _serialize(theirs[name]):
            return None
    return pairs


def _serialize(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return repr(value).encode()
