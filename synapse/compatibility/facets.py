"""What a schema says, in one form for all drafts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from synapse.compatibility import json_types

if TYPE_CHECKING:
    from synapse.compatibility.schema_model import Node


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a range of numbers. `keyword` is the one that says so."""

    value: int | float
    is_exclusive: bool
    keyword: str

    @property
    def is_exact(self) -> bool:
        """Whether the validator compares with it exactly: not beyond what 64 bits hold."""
        return isinstance(self.value, float) or -(2**63) <= self.value < 2**64


@dataclass(frozen=True, slots=True)
class Contains:
    """Between `least` and `most` items of an array are accepted by `node`."""

    node: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Rest:
    """What holds for properties that have none of these names and match none of these patterns."""

    names: frozenset[str]
    patterns: tuple[str, ...]
    node: "Node"
    keyword: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """What a schema says about arrays."""

    prefix: tuple["Node", ...] = ()
    rest: "Node | None" = None
    rest_keyword: str = ""
    least: int = 0
    most: int | None = None
    are_unique: bool = False
    contains: tuple[Contains, ...] = ()

    def node_at(self, index: int) -> "Node | None":
        """Return the schema of the item at an index, or `None` when nothing is said about it."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What a schema says about objects. `dependents`: a property, and those that have to come with it."""

    named: Mapping[str, "Node"] = field(default_factory=dict)
    patterns: Mapping[str, "Node"] = field(default_factory=dict)
    rests: tuple[Rest, ...] = ()
    names: tuple["Node", ...] = ()
    required: tuple[str, ...] = ()
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives: any of the members, or (`is_exclusive`) exactly one."""

    members: tuple["Node", ...]
    is_exclusive: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """What holds for values that `when` accepts, and for others."""

    when: "Node"
    then: "Node | None"
    otherwise: "Node | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """All that a schema says; what it leaves out says nothing. `opaque`: keywords that could not be read."""

    types: int = json_types.ANY
    values: tuple[Any, ...] | None = None
    lower: Bound | None = None
    upper: Bound | None = None
    multiples: tuple[Fraction, ...] = ()
    shortest: int = 0
    longest: int | None = None
    patterns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    items: Items | None = None
    properties: Properties | None = None
    conjuncts: tuple["Node", ...] = ()
    groups: tuple[Group, ...] = ()
    nots: tuple["Node", ...] = ()
    conditions: tuple[Condition, ...] = ()
    opaque: tuple[str, ...] = ()
