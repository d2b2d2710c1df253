"""One model for schemas of all drafts: `Node`, a place in a document, and `Facets`, the constraints at that place.

`unevaluatedProperties` and `unevaluatedItems` apply to the values that no other keyword of the same place evaluates. If
only `properties`, `allOf` and `$ref` determine these, they are read like `additionalProperties` and `items`. If they
depend on the document (as with an `anyOf` whose branches declare properties), the keywords are opaque.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Protocol

import jsonschema_rs
import orjson

from synapse.compatibility import keywords, validators
from synapse.compatibility.keywords import (
    ANNOTATIONS,
    DRAFT_4,
    DRAFT_6,
    DRAFT_7,
    DRAFT_2019,
    DRAFT_2020,
    SCHEMA_URIS,
    escape_token,
    is_known,
)


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a range of numbers. `keyword` is the keyword that sets it."""

    value: int | float
    is_exclusive: bool
    keyword: str

    @property
    def is_exact(self) -> bool:
        """Whether the validator compares with the bound exactly: only for numbers that 64 bits hold."""
        return isinstance(self.value, float) or -(2**63) <= self.value < 2**64


@dataclass(frozen=True, slots=True)
class Contains:
    """A `contains`: `node` accepts at least `least` and at most `most` items of the array."""

    node: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Rest:
    """The schema of properties that have none of these names and match none of these patterns."""

    names: frozenset[str]
    patterns: tuple[str, ...]
    node: "Node"
    keyword: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The constraints of a schema on arrays."""

    prefix: tuple["Node", ...] = ()
    rest: "Node | None" = None
    rest_keyword: str = ""
    least: int = 0
    most: int | None = None
    are_unique: bool = False
    contains: tuple[Contains, ...] = ()

    def node_at(self, index: int) -> "Node | None":
        """Return the schema of the item at an index, or `None` when the item is unconstrained."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """The constraints of a schema on objects. `dependents`: a property, and the properties that it requires."""

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
    """The schemas for values that `when` accepts, and for all other values."""

    when: "Node"
    then: "Node | None"
    otherwise: "Node | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """The constraints of a schema, keyword by keyword; an absent keyword constrains nothing. `opaque`: keywords that
    could not be read."""

    types: int = keywords.ANY
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


_MAY_DEPEND = ("anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "dependencies")
_ABOUT_PROPERTIES = frozenset(["properties", "patternProperties", "additionalProperties", "unevaluatedProperties"])
_ABOUT_ITEMS = frozenset(["items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"])


class _DependsOnTheDocument(Exception):
    """The set of evaluated properties or items depends on the document."""


def rest_of_properties(node: "Node", known: dict[str, Any], opaque: list[str]) -> tuple[Rest, ...]:
    """Return `unevaluatedProperties` as one rest; an empty tuple if all properties are evaluated."""
    keyword = "unevaluatedProperties"
    try:
        names: set[str] = set()
        patterns: dict[str, None] = {}
        for part in _applying_nodes(node, _ABOUT_PROPERTIES):
            if part is not node and ("additionalProperties" in part.schema or keyword in part.schema):
                return ()
            names.update(part.schema.get("properties", ()))
            patterns.update(dict.fromkeys(part.schema.get("patternProperties", ())))
    except _DependsOnTheDocument:
        opaque.append(keyword)
        return ()
    return (Rest(frozenset(names), tuple(patterns), node.below("/" + keyword, known[keyword]), keyword),)


def rest_of_items(
    node: "Node", known: dict[str, Any], prefix: tuple["Node", ...], opaque: list[str]
) -> tuple[tuple["Node", ...], "Node | None", str]:
    """Return prefix, rest and the rest's keyword, with `unevaluatedItems` merged in."""
    keyword = "unevaluatedItems"
    longest = len(prefix)
    try:
        for part in _applying_nodes(node, _ABOUT_ITEMS):
            if "contains" in part.schema:
                raise _DependsOnTheDocument
            if (part is not node and keyword in part.schema) or _evaluates_all_items(part):
                return prefix, None, ""
            longest = max(longest, len(part.schema.get("prefixItems" if part.draft >= DRAFT_2020 else "items", ())))
    except _DependsOnTheDocument:
        opaque.append(keyword)
        return prefix, None, ""
    anything = node.from_schema(True)
    rest = node.below("/" + keyword, known[keyword])
    return (*prefix, *[anything] * (longest - len(prefix))), rest, keyword


def _evaluates_all_items(node: "Node") -> bool:
    if node.draft >= DRAFT_2020:
        return "items" in node.schema
    items = node.schema.get("items", [])
    return not isinstance(items, list) or ("items" in node.schema and "additionalItems" in node.schema)


def _applying_nodes(start: "Node", about: frozenset[str]) -> list["Node"]:
    """Return the schemas that always apply to the same value as `start`, itself first."""
    places: list[Node] = []
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node in places or isinstance(node.schema, bool):
            continue
        places.append(node)
        if node is not start and node.draft != start.draft:
            raise _DependsOnTheDocument
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            if keyword in node.schema:
                target = node.resolve(keyword)
                if target is None:
                    raise _DependsOnTheDocument
                waiting.append(target)
        waiting += [node.below(f"/allOf/{index}", it) for index, it in enumerate(node.schema.get("allOf", ()))]
        for keyword in _MAY_DEPEND:
            if keyword in node.schema and is_known(keyword, node.draft) and _mentions(node.schema[keyword], about):
                raise _DependsOnTheDocument
    return places


def _mentions(schema: Any, about: frozenset[str]) -> bool:
    """Say whether a schema contains one of these keywords anywhere, or a reference that may lead to one."""
    waiting = [schema]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if not about.isdisjoint(here) or any(key.endswith(("$ref", "Ref")) for key in here):
                return True
            waiting += here.values()
        elif isinstance(here, list):
            waiting += here
    return False


class SchemaLibrary(Protocol):
    """The interface of a schema and its references for their nodes."""

    @property
    def size(self) -> int:
        """Return the size in bytes of the schema with the schemas that it refers to."""

    @property
    def has_dynamic_anchors(self) -> bool:
        """Whether some part may have a dynamic anchor."""

    def resolve(self, node: "Node", keyword: str) -> "Node | None":
        """Return the node that a reference in `node` leads to, or `None`."""


class SchemaDocument(Protocol):
    """The interface of a node's document."""

    name: str
    has_references: bool

    @property
    def library(self) -> SchemaLibrary:
        """The schema that the document belongs to."""

    def node(self, pointer: str, schema: Any) -> "Node":
        """Return the node at a place: one object for each place."""

    def validator_of(self, node: "Node") -> jsonschema_rs.Validator | None:
        """Return the real validator of a node of this document."""


class Node:
    """A schema at its place in a document. Compared by identity: a place has one node.

    A node without a document was made by the comparison ("an object that has `a`").
    """

    def __init__(self, schema: Any, pointer: str, draft: int, document: "SchemaDocument | None" = None) -> None:
        self.schema = schema
        self.pointer = pointer
        self.draft = draft
        self.document = document

    @cached_property
    def facets(self) -> Facets:
        """The constraints of the schema, in one form for all drafts."""
        return read_facets(self)

    @cached_property
    def text(self) -> bytes | None:
        """The schema as bytes that are equal only for equal schemas; `None` if it has references, which may lead out of
        it.
        """
        if self.document is not None and self.document.has_references and b'"$' in self._bytes:
            return None if any(word in self._bytes for word in _LEADING_OUT) else self._bytes
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        try:
            return orjson.dumps(self.schema, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # An integer beyond 64 bits; `repr` tells 1 from 1.0 and from true as well.
            return repr(self.schema).encode()

    @cached_property
    def validator(self) -> jsonschema_rs.Validator | None:
        """The real validator of this place; `None` when it cannot be compiled alone."""
        if self.document is None:
            return validators.compile_alone(self.schema, self.draft)
        return self.document.validator_of(self)

    @cached_property
    def cost_of_compiling(self) -> int:
        """The steps that compiling the schema costs."""
        size = len(self._bytes)
        if self.document is not None and self.document.has_references:
            # Including all schemas that it may refer to.
            size += self.document.library.size
        return 2 + size // 200

    @cached_property
    def cost_of_asking(self) -> int:
        """The steps that validating a value costs."""
        size = len(self._bytes)
        options = self.schema.get("enum") if isinstance(self.schema, dict) else None
        if isinstance(options, list) and all(isinstance(option, str) for option in options):
            # The validator looks texts up in a table.
            size -= sum(len(option) + len('"",') for option in options)
        return 1 + max(0, size) // 5000

    @property
    def at(self) -> str:
        """The place for people: a JSON Pointer, after the name of the reference if it is in one."""
        name = self.document.name if self.document else ""
        return f"{name}#{self.pointer}" if name else self.pointer

    def below(self, pointer: str, schema: Any) -> "Node":
        """Return the node of a subschema, at a pointer relative to this node."""
        if self.document is None:
            return Node(schema, self.pointer + pointer, self.draft)
        return self.document.node(self.pointer + pointer, schema)

    def resolve(self, keyword: str) -> "Node | None":
        """Return the node that a reference leads to, or `None` where that cannot be followed with certainty."""
        return None if self.document is None else self.document.library.resolve(self, keyword)

    @property
    def leads_to_metaschema(self) -> bool:
        """Whether the `$ref` leads to the schema of a draft, which the validator has built in."""
        if self.document is None or self.document.library.has_dynamic_anchors:
            return False
        return str(self.schema.get("$ref")).rstrip("#") in SCHEMA_URIS.values()

    @staticmethod
    def from_schema(schema: Any) -> "Node":
        """Return a node without a document; the same object for equal schemas."""
        return _cached_node(json.dumps(schema, sort_keys=True))

    def accepts(self, value: Any) -> bool | None:
        """Validate a value with the real validator; `None` when it cannot."""
        return None if self.validator is None else validators.accepts(self.validator, value)

    def __repr__(self) -> str:
        return f"<{self.at or 'root'} {self._bytes.decode()[:60]}>"


_LEADING_OUT = (b'"$ref"', b'"$dynamicRef"', b'"$recursiveRef"')


@lru_cache(maxsize=2048)
def _cached_node(text: str) -> Node:
    return Node(json.loads(text), "", DRAFT_2020)


_ABOUT_ARRAYS = frozenset(
    ["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"]
)
_ABOUT_OBJECTS = frozenset(
    [
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "required",
        "dependencies",
        "dependentRequired",
        "minProperties",
        "maxProperties",
        "unevaluatedProperties",
    ]
)
_NOTHING = Facets(types=keywords.NOTHING)
_ANYTHING = Facets()


def read_facets(node: "Node") -> Facets:
    """Read the constraints of a schema. Keywords that its draft does not know constrain nothing."""
    if isinstance(node.schema, bool):
        return _ANYTHING if node.schema else _NOTHING
    schema = node.schema
    if node.draft <= DRAFT_7 and "$ref" in schema:
        schema = {"$ref": schema["$ref"]}
    known = {word: value for word, value in schema.items() if word not in ANNOTATIONS and is_known(word, node.draft)}
    opaque: list[str] = []
    return Facets(
        **_read_any_type(known, node),
        **_read_numbers(known, node),
        **_read_strings(known, node),
        items=_read_items(node, known, opaque) if not _ABOUT_ARRAYS.isdisjoint(known) else None,
        properties=_read_properties(node, known, opaque) if not _ABOUT_OBJECTS.isdisjoint(known) else None,
        conjuncts=(*_read_references(node, known, opaque), *_read_list(node, known, "allOf")),
        opaque=tuple(opaque),
    )


def _read_any_type(known: dict[str, Any], node: "Node") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "type" in known:
        named = known["type"]
        found["types"] = keywords.mask_of([named] if isinstance(named, str) else named, node.draft)
    if "enum" in known or "const" in known:
        values = [known["const"]] if "const" in known else known["enum"]
        found["values"] = tuple(values)
    groups = [
        Group(members, word == "oneOf") for word in ("anyOf", "oneOf") if (members := _read_list(node, known, word))
    ]
    if groups:
        found["groups"] = tuple(groups)
    if "not" in known:
        found["nots"] = (node.below("/not", known["not"]),)
    if conditions := _read_conditions(known, node):
        found["conditions"] = conditions
    return found


def _read_conditions(known: dict[str, Any], node: "Node") -> tuple[Condition, ...]:
    found = []
    if "if" in known and ("then" in known or "else" in known):
        when = node.below("/if", known["if"])
        then = node.below("/then", known["then"]) if "then" in known else None
        found.append(Condition(when, then, node.below("/else", known["else"]) if "else" in known else None))
    for keyword in ("dependencies", "dependentSchemas"):
        for name, schema in known.get(keyword, {}).items():
            if isinstance(schema, (dict, bool)):
                then = node.below(f"/{keyword}/{escape_token(name)}", schema)
                found.append(Condition(node.from_schema({"type": "object", "required": [name]}), then, None))
    return tuple(found)


def _read_numbers(known: dict[str, Any], node: "Node") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if lower := _read_bound(known, node.draft, "minimum", "exclusiveMinimum", max):
        found["lower"] = lower
    if upper := _read_bound(known, node.draft, "maximum", "exclusiveMaximum", min):
        found["upper"] = upper
    if "multipleOf" in known:
        found["multiples"] = (exact_fraction(known["multipleOf"]),)
    return found


def exact_fraction(number: int | float) -> Fraction:
    """Return the number as it is written, like the validator: 0.1 is one tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(Decimal(repr(number)))


def _read_bound(
    known: dict[str, Any], draft: int, inclusive: str, exclusive: str, tighter: Callable[..., Any]
) -> Bound | None:
    if draft == DRAFT_4:
        if inclusive not in known:
            return None
        return Bound(known[inclusive], known.get(exclusive) is True, inclusive)
    bounds = [Bound(known[word], word == exclusive, word) for word in (inclusive, exclusive) if word in known]
    if len(bounds) == 2 and bounds[0].value == bounds[1].value:
        return bounds[1]
    result: Bound | None = tighter(bounds, key=lambda bound: bound.value, default=None)
    return result


def _read_strings(known: dict[str, Any], node: "Node") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "minLength" in known:
        found["shortest"] = int(known["minLength"])
    if "maxLength" in known:
        found["longest"] = int(known["maxLength"])
    if "pattern" in known:
        found["patterns"] = (known["pattern"],)
    tokens = []
    name = known.get("format")
    if isinstance(name, str) and validators.is_checked(name, node.draft):
        tokens.append(validators.format_token(name, node.draft))
    if node.draft in (DRAFT_6, DRAFT_7) and ("contentEncoding" in known or "contentMediaType" in known):
        # The validator checks contents only in these two drafts.
        encoding, media_type = known.get("contentEncoding", ""), known.get("contentMediaType", "")
        tokens.append(f"content {encoding} {media_type}")
    if tokens:
        found["formats"] = tuple(tokens)
    return found


def _read_list(node: "Node", known: dict[str, Any], keyword: str) -> tuple["Node", ...]:
    if keyword not in known:
        return ()
    return tuple(node.below(f"/{keyword}/{index}", item) for index, item in enumerate(known.get(keyword, ())))


def _read_references(node: "Node", known: dict[str, Any], opaque: list[str]) -> list["Node"]:
    found = []
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if not isinstance(known.get(keyword), str) or not _is_followed(keyword, node):
            continue
        target = node.resolve(keyword)
        if target is None:
            opaque.append(keyword)
        else:
            found.append(target)
    return found


def _is_followed(keyword: str, node: "Node") -> bool:
    if keyword == "$ref":
        return True
    return node.draft == (DRAFT_2020 if keyword == "$dynamicRef" else DRAFT_2019)


def _read_items(node: "Node", known: dict[str, Any], opaque: list[str]) -> Items:
    prefix: tuple[Node, ...] = ()
    rest_keyword = "items"
    if node.draft >= DRAFT_2020:
        prefix = _read_list(node, known, "prefixItems")
    elif isinstance(known.get("items"), list):
        prefix, rest_keyword = _read_list(node, known, "items"), "additionalItems"
    rest = node.below("/" + rest_keyword, known[rest_keyword]) if rest_keyword in known else None
    if rest is None and not _is_anything(known.get("unevaluatedItems", True)):
        prefix, rest, rest_keyword = rest_of_items(node, known, prefix, opaque)
    contains: tuple[Contains, ...] = ()
    if "contains" in known:
        least = int(known.get("minContains", 1)) if node.draft >= DRAFT_2019 else 1
        most = int(known["maxContains"]) if "maxContains" in known else None
        contains = (Contains(node.below("/contains", known["contains"]), least, most),)
    return Items(
        prefix=prefix,
        rest=rest,
        rest_keyword=rest_keyword,
        least=int(known.get("minItems", 0)),
        most=int(known["maxItems"]) if "maxItems" in known else None,
        are_unique=known.get("uniqueItems") is True,
        contains=contains,
    )


def _is_anything(schema: Any) -> bool:
    return schema is True or schema == {}


def _read_properties(node: "Node", known: dict[str, Any], opaque: list[str]) -> Properties:
    named = {
        name: node.below("/properties/" + escape_token(name), it) for name, it in known.get("properties", {}).items()
    }
    patterns = {
        pattern: node.below("/patternProperties/" + escape_token(pattern), it)
        for pattern, it in known.get("patternProperties", {}).items()
    }
    rests: tuple[Rest, ...] = ()
    if "additionalProperties" in known:
        word = "additionalProperties"
        rests = (Rest(frozenset(named), tuple(patterns), node.below("/" + word, known[word]), word),)
    elif not _is_anything(known.get("unevaluatedProperties", True)):
        rests = rest_of_properties(node, known, opaque)
    dependents: dict[str, tuple[str, ...]] = {}
    for word in ("dependencies", "dependentRequired"):
        for name, needed in known.get(word, {}).items():
            if isinstance(needed, list):
                dependents[name] = (*dependents.get(name, ()), *needed)
    return Properties(
        named=named,
        patterns=patterns,
        rests=rests,
        names=(node.below("/propertyNames", known["propertyNames"]),) if "propertyNames" in known else (),
        required=tuple(known.get("required", ())),
        dependents=dependents,
        least=int(known.get("minProperties", 0)),
        most=int(known["maxProperties"]) if "maxProperties" in known else None,
    )
