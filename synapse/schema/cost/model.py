"""Upper bounds of the cost of checking one event against a schema, with all its parts and references.

A validator follows every branch, so a schema of a few lines can require 2^40 checks of one value, and a leaf such as an
`enum` of objects can cost as much as thousands of checks, for each item of an array. So an upper bound of the cost is
computed before a schema is used, for the largest accepted event and for an ordinary one. A schema that is too costly
for an ordinary event is refused; one that is too costly only for the largest event is used up to a smaller size.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import inf
from typing import Any

from synapse.errors.contracts import BadSchema
from synapse.formats.exact_json import is_number
from synapse.formats.strict_json import MAX_KEYS, MAX_NODES
from synapse.schema.cost.guard import MAX_CHARACTERS, MAX_STEPS, Cost
from synapse.schema.cost.keywords import DEPENDENTS, VALUE_STEPS, leaf_cost, leaf_steps, pattern_cost
from synapse.schema.references import CannotFollow, ReferenceResolver, list_of, mapping_of

ORDINARY_NODES = 1_000
ORDINARY_CHARACTERS = 16 * 1024

_ITEM_HASHED = 10.0
_CONTAINS = 25.0
_UNEVALUATED = 15.0
# A recursive part can occur again on each level of an event, and each time hash everything below.
_LEVELS = 64

_LISTS = ("allOf", "anyOf", "oneOf")
_ONES = ("not", "if", "then", "else")
_OF_PARTS = (
    *("additionalProperties", "unevaluatedProperties", "propertyNames"),
    *("items", "additionalItems", "unevaluatedItems", "contains"),
)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_SAME_VALUE = frozenset((*_LISTS, *_ONES, *DEPENDENTS, *_REFERENCES))
_OF_ITEMS = ("items", "additionalItems", "unevaluatedItems")
_UNEVALUATED_WORDS = frozenset(("unevaluatedProperties", "unevaluatedItems"))
_OBJECT_WORDS = frozenset(
    ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames")
)
_ARRAY_WORDS = frozenset((*_OF_ITEMS, "prefixItems", "contains", "uniqueItems"))
# A schema without any of these words contains no other schema.
_LEADING_ON = frozenset(
    (*_LISTS, *_ONES, *DEPENDENTS, *_OF_PARTS, *_REFERENCES, "properties", "patternProperties", "prefixItems")
)
# When errors are listed, these keywords give one value more errors than steps, or more costly ones.
_LISTING_MORE = frozenset(("anyOf", "oneOf", "propertyNames"))
_GLANCED_PARTS = 300
"""How many parts a schema may have, each as often as it is referred to, whose cost is found out at its first event:
that takes some 2 milliseconds of the event loop."""
# The cost of these keywords does not follow from that of each part alone.
_NEEDING_MODEL = frozenset(
    (
        *("$dynamicRef", "$recursiveRef"),
        *_UNEVALUATED_WORDS,
        "patternProperties",
        "propertyNames",
        "contains",
        "uniqueItems",
    )
)
_ADVICE = {
    "enum": "List texts or integers, which are looked up in a table, or give the arrays around it “maxItems”.",
    "const": "Compare with a text or an integer, or give the arrays around it “maxItems”.",
    "pattern": "Begin it with “^”, and let parts that repeat not overlap.",
    "multipleOf": "Use an integer, or give the arrays around it “maxItems”.",
}
_ADVICE_ELSE = "Use it for fewer values: give the arrays around it “maxItems”."


_NOTHING = Cost()
_ONE = Cost(here=VALUE_STEPS, total=VALUE_STEPS)
_INFINITE = Cost(here=inf, total=inf)


def compute_cost(resolver: ReferenceResolver, *, is_registered: bool) -> Cost | None:
    """Return the cost of a schema; None when it is evidently small and need not be computed before the first event.

    Raises:
        BadSchema: when its references are circular, or when it is too costly for an ordinary event and not
            registered yet.
    """
    if upper_bound(resolver).of_largest <= MAX_STEPS:
        return None
    model = CostModel(resolver)
    return model.whole if is_registered else model.compute_checked()


def upper_bound(resolver: ReferenceResolver) -> Cost:
    """Return a cost that no event can exceed, computed in one pass over the parts; infinite when that is not possible.

    A value is checked against one part, and one more for each fork: a part for the same value as its parent, or a
    keyword for items. The cost of the most costly part times this number is at least the result of `CostModel`. The
    target of a reference counts each time. A recursive schema, or one with many parts, is left to the model.
    """
    ways, here, here_text = 1, VALUE_STEPS, 0.0
    parts = 0
    entries: list[tuple[Any, tuple[int, ...]]] = [(resolver.root, (id(resolver.root),))]
    while entries:
        entry, above = entries.pop()
        waiting = [entry]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, dict):
                continue
            parts += 1
            steps, steps_text = leaf_steps(node)
            here, here_text = max(here, steps), max(here_text, steps_text)
            if _LEADING_ON.isdisjoint(node) and "uniqueItems" not in node:
                continue
            if not _NEEDING_MODEL.isdisjoint(node):
                return _INFINITE
            same, other, items = _parts_at_a_glance(node)
            ways += len(same) + items
            waiting += same
            waiting += other
            if "$ref" in node:
                try:
                    targets = resolver.possible_targets(node)
                except CannotFollow:
                    return _INFINITE
                ways += len(targets)
                entries += [(target.schema, (*above, id(target.schema))) for target in targets]
                if any(id(target.schema) in above for target in targets):
                    return _INFINITE
        if parts + len(entries) > _GLANCED_PARTS:
            return _INFINITE
    return Cost(here=ways * here, here_text=ways * here_text, total=inf)


def _parts_at_a_glance(node: dict[str, Any]) -> tuple[list[Any], list[Any], int]:
    """Return the parts of a schema for the same value, the parts for other values, and the number of keywords for
    items.
    """
    same: list[Any] = []
    if not _SAME_VALUE.isdisjoint(node):
        same += [node[word] for word in _ONES if word in node]
        for word in _LISTS:
            same += list_of(node.get(word))
        for word in DEPENDENTS:
            same += mapping_of(node.get(word)).values()
    other = [*mapping_of(node.get("properties")).values()]
    other.append(node.get("additionalProperties"))
    items = 0
    if not _ARRAY_WORDS.isdisjoint(node):
        for word in ("prefixItems", *_OF_ITEMS):
            if word in node:
                items += 1
                other += node[word] if isinstance(node[word], list) else [node[word]]
    return same, other, items


class CostModel:
    """The costs of a schema and of its parts."""

    def __init__(self, resolver: ReferenceResolver) -> None:
        self._resolver = resolver
        self._known: dict[int, Cost] = {}
        self._lists_more = False
        self._back = self._find_returns()

    def compute_checked(self) -> Cost:
        """Return the cost of a whole schema, for its registration.

        Raises:
            BadSchema: when it is too costly for an ordinary event.
        """
        cost = self.whole
        steps = cost.of_event(ORDINARY_NODES, ORDINARY_CHARACTERS, ORDINARY_NODES)
        if steps > MAX_STEPS:
            raise BadSchema(self._reason(cost, steps))
        return cost

    def listing_rate(self) -> float | None:
        """Return the steps for one value if listing all errors costs no more than that for each value; None otherwise.

        The validator explains each alternative, and a recursive part as often as paths lead to it. For a name that is
        not allowed, it copies the whole object. The number of a value's errors is not larger than the returned steps,
        either.
        """
        return None if self._back or self._lists_more else self.steps(self._resolver.root, 1, 0)

    def steps(self, schema: Any, nodes: float, characters: float) -> float:
        """Return the steps for applying a part of the schema to a value with this many values and characters in it."""
        cost = self._cost_of(schema)
        if self._back and isinstance(schema, Mapping) and not _LEADING_ON.isdisjoint(schema):
            # The part may lead to a recursive part, whose cost is that of the whole.
            cost += self.whole
        return max(VALUE_STEPS, cost.here, cost.below) * nodes + max(cost.here_text, cost.below_text) * characters

    @cached_property
    def whole(self) -> Cost:
        """The cost of the whole schema."""
        root = self._resolver.root
        if not self._back:
            return self._cost_of(root)
        # One value can be checked against every recursive part, on many paths, but only once against each.
        starts = {id(root): root, **self._back}
        costs = [self._compute(each) for each in starts.values()]
        return Cost(
            here=sum(cost.here + cost.below for cost in costs),
            here_text=sum(cost.here_text + cost.below_text for cost in costs),
            total=inf,
            unique=sum(cost.unique for cost in costs),
        )

    def _cost_of(self, schema: Any) -> Cost:
        if not isinstance(schema, Mapping):
            return _ONE
        key = id(schema)
        if key in self._back:
            return _ONE
        if key not in self._known:
            self._known[key] = self._compute(schema)
        return self._known[key]

    def _compute(self, node: Mapping[str, Any]) -> Cost:
        cost = leaf_cost(node)
        if _LEADING_ON.isdisjoint(node) and "uniqueItems" not in node:
            return cost
        for each in self._for_same_value(node):
            cost += self._cost_of(each)
        if not _UNEVALUATED_WORDS.isdisjoint(node):
            # To find out which parts are evaluated, each schema for the same value is checked once more.
            cost += cost._replace(below=cost.below + _UNEVALUATED * cost.here)
        if not _OBJECT_WORDS.isdisjoint(node):
            cost += self._of_properties(node)
        if not _ARRAY_WORDS.isdisjoint(node):
            cost += self._of_items(node)
        return cost

    def _of_properties(self, node: Mapping[str, Any]) -> Cost:
        count = min(_whole_number(node.get("maxProperties"), MAX_KEYS), MAX_KEYS)
        # A property is checked against one of these...
        named = self._one_of(mapping_of(node.get("properties")).values())
        additional, unevaluated = node.get("additionalProperties"), node.get("unevaluatedProperties")
        if isinstance(additional, Mapping):
            named = _largest_of((named, self._cost_of(additional).of_each(count)))
        # ... and in addition against all of those.
        patterns = mapping_of(node.get("patternProperties"))
        every = self._all_of((*patterns.values(), *((unevaluated,) if isinstance(unevaluated, Mapping) else ())))
        found = self._cost_inside(named + every.of_each(count))
        if not patterns and "propertyNames" not in node:
            return found
        # Names are characters of the object, and one value each. Every further keyword for properties reads each name
        # again.
        times = 1 if additional is None and unevaluated is None else 2
        name = sum((pattern_cost(pattern) for pattern in patterns for _ in range(times)), _NOTHING)
        if isinstance(node.get("propertyNames"), Mapping):
            name += self._cost_of(node["propertyNames"])
        total = name.here * count + name.here_text * MAX_CHARACTERS
        return found + Cost(here_text=name.here_text, below=name.here, total=total)

    def _of_items(self, node: Mapping[str, Any]) -> Cost:
        count = min(_whole_number(node.get("maxItems"), MAX_NODES), MAX_NODES)
        items = node.get("items")
        first = self._one_of((*list_of(node.get("prefixItems")), *list_of(items)))
        rest = [node[word] for word in _OF_ITEMS if isinstance(node.get(word), Mapping)]
        every = self._all_of(rest)
        if isinstance(node.get("contains"), (Mapping, bool)):
            every += self._cost_of(node["contains"]) + Cost(here=_CONTAINS, total=_CONTAINS)
        unique = 0
        if node.get("uniqueItems") is True:
            hashed = _ITEM_HASHED * (_LEVELS if self._back else 1)
            if "maxItems" in node and count * count <= MAX_STEPS / 10:
                hashed += count / 2
            else:
                unique = 1
            every += Cost(here=hashed, total=hashed)
        found = self._cost_inside(first + every.of_each(count))
        return found._replace(unique=found.unique + unique)

    def _one_of(self, schemas: Iterable[Any]) -> Cost:
        """Return the highest cost of schemas that each check a different value."""
        costs = [self._cost_of(schema) for schema in schemas]
        return _largest_of(costs) if costs else _NOTHING

    def _all_of(self, schemas: Iterable[Any]) -> Cost:
        return sum(map(self._cost_of, schemas), _NOTHING)

    def _cost_inside(self, cost: Cost) -> Cost:
        """Return the cost of the values inside a value as a part of the value's own."""
        here, here_text, below, below_text, total, unique = cost
        if self._back:
            return Cost(0, 0, here + below, here_text + below_text, total, unique)
        return Cost(0, 0, max(here, below), max(here_text, below_text), total, unique)

    def _for_same_value(self, node: Mapping[str, Any]) -> Iterator[Any]:
        if _SAME_VALUE.isdisjoint(node):
            return
        for word in _LISTS:
            yield from list_of(node.get(word))
        for word in _ONES:
            if word in node:
                yield node[word]
        for word in DEPENDENTS:
            yield from (each for each in mapping_of(node.get(word)).values() if isinstance(each, Mapping))
        try:
            targets = self._resolver.possible_targets(node)
        except CannotFollow:  # the validator ignores it, too, or it would have refused the schema
            return
        yield from (target.schema for target in targets)

    def _for_parts(self, node: Mapping[str, Any]) -> Iterator[Any]:
        for word in ("properties", "patternProperties"):
            yield from mapping_of(node.get(word)).values()
        for word in ("prefixItems", "items"):
            yield from list_of(node.get(word))
        for word in _OF_PARTS:
            if isinstance(node.get(word), Mapping):
                yield node[word]

    def _find_returns(self) -> dict[int, Mapping[str, Any]]:
        """Return the recursive parts: those from which a path leads back to themselves."""
        back: dict[int, Mapping[str, Any]] = {}
        done: set[int] = set()
        is_open: set[int] = set()

        def visit(node: Any, above: frozenset[int]) -> None:
            if not isinstance(node, Mapping) or _LEADING_ON.isdisjoint(node):
                return
            key = id(node)
            if key in above:
                raise BadSchema("A “$ref” leads back to where it stands, so it would check nothing.")
            if key in is_open:
                back[key] = node
                return
            if key in done:
                return
            is_open.add(key)
            self._lists_more |= not _LISTING_MORE.isdisjoint(node)
            for each in self._for_same_value(node):
                visit(each, above | {key})
            for each in self._for_parts(node):
                visit(each, frozenset())
            is_open.remove(key)
            done.add(key)

        try:
            visit(self._resolver.root, frozenset())
        except RecursionError:
            raise BadSchema("The schema's references lead from one to the next too often.") from None
        return back

    def _reason(self, cost: Cost, steps: float) -> str:
        pointer, word, leaf = self._most_costly()
        seconds = steps / MAX_STEPS * 0.2
        text = (
            f"Checking an event of {ORDINARY_NODES} values against this schema could take some "
            f"{seconds:.1f} s of a processor's time; up to 0.2 s is accepted. "
        )
        share = max(leaf.here, leaf.here_text * ORDINARY_CHARACTERS / ORDINARY_NODES)
        if share * 10 >= max(cost.here, cost.below):
            return text + f"Most of it is “{word}” at “{pointer}”. {_ADVICE.get(word, _ADVICE_ELSE)}"
        checks = max(cost.here, cost.below) / VALUE_STEPS
        return text + (
            f"One value could have to be checked some {checks:.0f} times, as alternatives and references multiply. "
            "Refer to each definition once for a value, combine fewer alternatives, and give arrays “maxItems”."
        )

    def _most_costly(self) -> tuple[str, str, Cost]:
        found: tuple[str, str, Cost] = ("", "", _NOTHING)
        waiting: list[tuple[Any, str]] = [(self._resolver.root, "")]
        while waiting:
            node, pointer = waiting.pop()
            if isinstance(node, list):
                waiting += [(each, f"{pointer}/{number}") for number, each in enumerate(node)]
            elif isinstance(node, Mapping):
                for word, value in node.items():
                    cost = leaf_cost({word: value})
                    if _weight(cost) > _weight(found[2]):
                        found = (pointer, word, cost)
                waiting += [(each, f"{pointer}/{name}") for name, each in node.items() if name not in ("enum", "const")]
        return found


def _largest_of(costs: Sequence[Cost]) -> Cost:
    here, here_text, below, below_text, total, unique = zip(*costs, strict=True)
    return Cost(max(here), max(here_text), max(below), max(below_text), sum(total), max(unique))


def _weight(cost: Cost) -> float:
    return cost.here * ORDINARY_NODES + cost.here_text * ORDINARY_CHARACTERS


def _whole_number(value: Any, otherwise: int) -> int:
    return int(value) if is_number(value, 0) else otherwise
