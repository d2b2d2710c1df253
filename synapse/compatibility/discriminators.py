"""Constants that distinguish the values of schemas, such as the type of an event.

`Tags` are a part of a schema's constraints that is cheap to compare: the types of a value, its listed values, and both
for its properties, a few levels deep. Schemas with contradicting tags have no value in common, without further proof.
So the alternatives of large unions are matched by tags before they are compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from types import MappingProxyType
from typing import Any

from synapse.compatibility import keywords
from synapse.compatibility.budget import Budget
from synapse.compatibility.schema_model import Facets, Node, Properties

_DEEPEST = 3
_LONGEST_CHAIN = 40
_MOST_VALUES = 1000
_EXACT = 2**53
_NO_PARTS: Mapping[str, "Tags"] = MappingProxyType({})

Key = tuple[int, Any]
Keys = frozenset[Key]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """Constraints that certainly hold for a value.

    Attributes:
        kinds: the types that the value may have, as a mask.
        values: the values that it may have, or `None` when they are not listed.
        never: values that it does not have.
        required: properties that it has if it is an object.
        names: the only properties that it may have if it is an object; `None`: any.
        parts: the tags of its properties, by name, for an object that has them.
    """

    kinds: int = keywords.ANY
    values: Keys | None = None
    never: Keys = frozenset()
    required: frozenset[str] = frozenset()
    names: frozenset[str] | None = None
    parts: Mapping[str, "Tags"] = field(default_factory=lambda: _NO_PARTS)

    @property
    def are_impossible(self) -> bool:
        """Whether no value has these tags."""
        if not self.kinds or (self.values is not None and not self.values):
            return True
        if self.kinds != keywords.OBJECT:
            return False
        if self.names is not None and not self.required <= self.names:
            return True
        return any(name in self.required and part.are_impossible for name, part in self.parts.items())

    def contradict(self, other: "Tags") -> bool:
        """Say whether no value has both."""
        kinds = self.kinds & other.kinds
        if not kinds or self._lists_nothing_with(other):
            return True
        if kinds != keywords.OBJECT:
            return False
        if self.names is not None and not other.required <= self.names:
            return True
        if other.names is not None and not self.required <= other.names:
            return True
        for name, part in self.parts.items():
            if name in self.required or name in other.required:
                its = other.parts.get(name)
                if part.are_impossible if its is None else part.contradict(its):
                    return True
        return any(
            part.are_impossible
            for name, part in other.parts.items()
            if name in self.required and name not in self.parts
        )

    def _lists_nothing_with(self, other: "Tags") -> bool:
        if self.values is None or other.values is None:
            if not self.never and not other.never:
                return False
            return (self.values is not None and self.values <= other.never) or (
                other.values is not None and other.values <= self.never
            )
        return self.values.isdisjoint(other.values)

    def both(self, other: "Tags") -> "Tags":
        """Return the tags of a value that has both."""
        if self is other or other is ANY_TAGS:
            return self
        if self is ANY_TAGS:
            return other
        values, never = _intersect(self.values, other.values), self.never | other.never
        return Tags(
            kinds=self.kinds & other.kinds,
            values=None if values is None else values - never,
            never=never,
            required=self.required | other.required,
            names=_intersect(self.names, other.names),
            parts={
                name: self.parts.get(name, ANY_TAGS).both(other.parts.get(name, ANY_TAGS))
                for name in (*self.parts, *(it for it in other.parts if it not in self.parts))
            },
        )

    def either(self, other: "Tags") -> "Tags":
        """Return the tags of a value that has one of the two."""
        kinds, never = self.kinds | other.kinds, self.never & other.never
        values = None if self.values is None or other.values is None else self.values | other.values
        if not other.kinds & keywords.OBJECT:
            return replace(self, kinds=kinds, values=values, never=never)
        if not self.kinds & keywords.OBJECT:
            return replace(other, kinds=kinds, values=values, never=never)
        return Tags(
            kinds=kinds,
            values=values,
            never=never,
            required=self.required & other.required,
            names=None if self.names is None or other.names is None else self.names | other.names,
            parts={name: part.either(other.parts[name]) for name, part in self.parts.items() if name in other.parts},
        )

    def imply(self, node: Node) -> bool:
        """Say whether these tags alone imply that a schema of few keywords accepts the value."""
        facets = node.facets
        if facets == _ANYTHING:
            return True
        if self is ANY_TAGS or self.kinds & ~facets.types or not _says_only_tags(facets):
            return False
        if facets.values is not None:
            keys = keys_of(facets.values)
            if keys is None or self.values is None or not self.values <= keys:
                return False
        properties = facets.properties
        if properties is not None and self.kinds & keywords.OBJECT:
            if not self.required.issuperset(properties.required):
                return False
            if not all(self.parts.get(name, ANY_TAGS).imply(part) for name, part in properties.named.items()):
                return False
        return all(map(self.imply, facets.conjuncts))

    def choices(self, path: Path = ()) -> Iterator[tuple[Path, Keys]]:
        """Yield the paths of parts that the value certainly has and that list several values, with these values."""
        if self.values is not None and len(self.values) > 1:
            yield path, self.values
        if self.kinds == keywords.OBJECT:
            for name in sorted(self.required.intersection(self.parts)):
                yield from self.parts[name].choices((*path, name))

    def at(self, path: Path) -> "Tags":
        """Return the tags of the part at a path."""
        here = self
        for name in path:
            here = here.parts.get(name, ANY_TAGS)
        return here


ANY_TAGS = Tags()
_LISTING = frozenset(["const", "enum", "$ref"])
_ANYTHING = Facets()


class Discriminators:
    """Reads the tags of schemas, and remembers them."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._known: dict[tuple[Node, int], Tags] = {}

    def tags_of(self, node: Node, depth: int = _DEEPEST, chain: int = 0) -> Tags:
        """Return the tags of the values that a schema accepts."""
        if chain > _LONGEST_CHAIN:
            return ANY_TAGS
        known = self._known.get((node, depth))
        if known is None:
            self._budget.spend()
            # While a recursive schema is read, nothing is known about it.
            self._known[node, depth] = ANY_TAGS
            known = self._tags_of_keywords(node.facets, depth)
            for part in node.facets.conjuncts:
                known = known.both(self.tags_of(part, depth, chain + 1))
            for group in node.facets.groups:
                self._budget.spend(len(group.members))
                alternatives = (self.tags_of(each, depth, chain + 1) for each in group.members)
                known = known.both(reduce(Tags.either, alternatives))
            self._known[node, depth] = known
        return known

    def tags_of_refusal(self, node: Node) -> Tags:
        """Return the tags of the values that a schema refuses, if all that it does is list values for a single part."""
        path: list[tuple[str, Tags]] = []
        keys = None
        while (facets := node.facets) != _ANYTHING:
            if len(facets.conjuncts) == 1 and facets == Facets(conjuncts=facets.conjuncts):
                node = facets.conjuncts[0]
                continue
            if not _says_only_tags(facets) or facets.conjuncts:
                return ANY_TAGS
            properties = facets.properties
            if properties is None:
                keys = keys_of(facets.values or ())
                # The type of a listed value adds nothing; a type alone is no list.
                # An integer can be written as 1.0, which draft 4 refuses.
                listed = keywords.mask_of_values(facets.values or ())
                listed |= (keywords.INTEGER | keywords.WHOLE) if listed & keywords.NUMBER else 0
                if not keys or listed & ~facets.types:
                    return ANY_TAGS
                break
            telling = [name for name, part in properties.named.items() if part.facets != _ANYTHING]
            is_of_objects = facets.types in (keywords.ANY, keywords.OBJECT) and facets.values is None
            if len(telling) != 1 or not is_of_objects or {*properties.required} - {*telling} or len(path) >= _DEEPEST:
                return ANY_TAGS
            name = telling[0]
            # A value that is no object is accepted where no type is named, and so is an object without an optional
            # property.
            kinds = keywords.OBJECT if facets.types == keywords.ANY else keywords.ANY
            path.append((name, Tags(kinds=kinds, required=frozenset([name]) - {*properties.required})))
            node = properties.named[name]
        if keys is None:
            return ANY_TAGS
        tags = Tags(never=keys)
        for name, around in reversed(path):
            tags = replace(around, parts={name: tags})
        return tags

    def _tags_of_keywords(self, facets: Facets, depth: int) -> Tags:
        kinds, keys = facets.types, None
        if facets.values is not None:
            keys = keys_of(facets.values)
            listed = keywords.mask_of_values(facets.values)
            kinds &= listed | keywords.NUMBER if listed & keywords.NUMBER else listed
        properties = facets.properties
        if properties is None or not kinds & keywords.OBJECT:
            return ANY_TAGS if kinds == keywords.ANY and keys is None else Tags(kinds=kinds, values=keys)
        required = frozenset(properties.required)
        parts = {}
        for name, part in properties.named.items():
            if depth and (name in required or part.schema is False or _lists_values(part)):
                tags = self.tags_of(part, depth - 1)
                if tags is not ANY_TAGS:
                    parts[name] = tags
        return Tags(kinds=kinds, values=keys, required=required, names=_only_names(properties), parts=parts)


def keys_of(values: Sequence[Any]) -> Keys | None:
    """Return values as keys that are equal if the values are equal in JSON, where 1 is 1.0 and not true; `None` when
    the values are not simple, or too many.
    """
    if len(values) > _MOST_VALUES or not all(map(_is_simple, values)):
        return None
    return frozenset(
        (keywords.NUMBER if keywords.kind_of(it) & keywords.NUMBER else keywords.kind_of(it), it) for it in values
    )


def values_of(keys: Iterable[Key]) -> list[Any]:
    """Return the values of keys, in a stable order."""
    return [value for _, value in sorted(keys, key=lambda key: (key[0], str(key[1])))]


def _is_simple(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return abs(value) < _EXACT
    return value is None or isinstance(value, str)


def _lists_values(node: Node) -> bool:
    return isinstance(node.schema, dict) and (not _LISTING.isdisjoint(node.schema))


def _only_names(properties: Properties) -> frozenset[str] | None:
    if properties.patterns or not any(not it.patterns and it.node.schema is False for it in properties.rests):
        return None
    return frozenset(properties.named)


def _says_only_tags(facets: Facets) -> bool:
    """Say whether a schema declares only types, listed values, and required properties with their schemas."""
    told = Facets(
        types=facets.types, values=facets.values, properties=facets.properties, conjuncts=facets.conjuncts
    )  # fmt: skip
    properties = facets.properties
    return facets == told and (
        properties is None or properties == Properties(named=properties.named, required=properties.required)
    )


def _intersect(one: frozenset[Any] | None, other: frozenset[Any] | None) -> frozenset[Any] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other
