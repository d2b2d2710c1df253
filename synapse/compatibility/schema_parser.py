"""A schema of any draft, read into `Facets`."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from synapse.compatibility import formats, json_types
from synapse.compatibility.evaluated_properties import rest_of_items, rest_of_properties
from synapse.compatibility.facets import (
    Bound,
    Condition,
    Contains,
    Facets,
    Group,
    Items,
    Properties,
    Rest,
)
from synapse.compatibility.keywords import (
    ANNOTATIONS,
    DRAFT_4,
    DRAFT_6,
    DRAFT_7,
    DRAFT_2019,
    DRAFT_2020,
    escaped,
    is_known,
)

if TYPE_CHECKING:
    from synapse.compatibility.schema_model import Node

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
_NOTHING = Facets(types=json_types.NOTHING)
_ANYTHING = Facets()


def read(node: "Node") -> Facets:
    """Return what a schema says. Keywords that its draft does not know say nothing."""
    if isinstance(node.schema, bool):
        return _ANYTHING if node.schema else _NOTHING
    schema = node.schema
    if node.draft <= DRAFT_7 and "$ref" in schema:
        schema = {"$ref": schema["$ref"]}
    known = {word: value for word, value in schema.items() if word not in ANNOTATIONS and is_known(word, node.draft)}
    opaque: list[str] = []
    return Facets(
        **_of_any_type(known, node),
        **_of_numbers(known, node),
        **_of_strings(known, node),
        items=_items(node, known, opaque) if not _ABOUT_ARRAYS.isdisjoint(known) else None,
        properties=_properties(node, known, opaque) if not _ABOUT_OBJECTS.isdisjoint(known) else None,
        conjuncts=(*_references(node, known, opaque), *_list(node, known, "allOf")),
        opaque=tuple(opaque),
    )


def _of_any_type(known: dict[str, Any], node: "Node") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "type" in known:
        named = known["type"]
        found["types"] = json_types.mask_of([named] if isinstance(named, str) else named, node.draft)
    if "enum" in known or "const" in known:
        values = [known["const"]] if "const" in known else known["enum"]
        found["values"] = tuple(values)
    groups = [Group(members, word == "oneOf") for word in ("anyOf", "oneOf") if (members := _list(node, known, word))]
    if groups:
        found["groups"] = tuple(groups)
    if "not" in known:
        found["nots"] = (node.below("/not", known["not"]),)
    if conditions := _conditions(known, node):
        found["conditions"] = conditions
    return found


def _conditions(known: dict[str, Any], node: "Node") -> tuple[Condition, ...]:
    found = []
    if "if" in known and ("then" in known or "else" in known):
        when = node.below("/if", known["if"])
        then = node.below("/then", known["then"]) if "then" in known else None
        found.append(Condition(when, then, node.below("/else", known["else"]) if "else" in known else None))
    for keyword in ("dependencies", "dependentSchemas"):
        for name, schema in known.get(keyword, {}).items():
            if isinstance(schema, (dict, bool)):
                then = node.below(f"/{keyword}/{escaped(name)}", schema)
                found.append(Condition(node.made({"type": "object", "required": [name]}), then, None))
    return tuple(found)


def _of_numbers(known: dict[str, Any], node: "Node") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if lower := _bound(known, node.draft, "minimum", "exclusiveMinimum", max):
        found["lower"] = lower
    if upper := _bound(known, node.draft, "maximum", "exclusiveMaximum", min):
        found["upper"] = upper
    if "multipleOf" in known:
        found["multiples"] = (fraction(known["multipleOf"]),)
    return found


def fraction(number: int | float) -> Fraction:
    """Return the number that is written, as the validator takes it: 0.1 is one tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(Decimal(repr(number)))


def _bound(
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


def _of_strings(known: dict[str, Any], node: "Node") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "minLength" in known:
        found["shortest"] = int(known["minLength"])
    if "maxLength" in known:
        found["longest"] = int(known["maxLength"])
    if "pattern" in known:
        found["patterns"] = (known["pattern"],)
    tokens = []
    name = known.get("format")
    if isinstance(name, str) and formats.is_checked(name, node.draft):
        tokens.append(formats.token(name, node.draft))
    if node.draft in (DRAFT_6, DRAFT_7) and ("contentEncoding" in known or "contentMediaType" in known):
        # In these two drafts the validator checks contents, in 2019-09 and later it does not.
        encoding, media_type = known.get("contentEncoding", ""), known.get("contentMediaType", "")
        tokens.append(f"content {encoding} {media_type}")
    if tokens:
        found["formats"] = tuple(tokens)
    return found


def _list(node: "Node", known: dict[str, Any], keyword: str) -> tuple["Node", ...]:
    if keyword not in known:
        return ()
    return tuple(node.below(f"/{keyword}/{index}", item) for index, item in enumerate(known.get(keyword, ())))


def _references(node: "Node", known: dict[str, Any], opaque: list[str]) -> list["Node"]:
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


def _items(node: "Node", known: dict[str, Any], opaque: list[str]) -> Items:
    prefix: tuple[Node, ...] = ()
    rest_keyword = "items"
    if node.draft >= DRAFT_2020:
        prefix = _list(node, known, "prefixItems")
    elif isinstance(known.get("items"), list):
        prefix, rest_keyword = _list(node, known, "items"), "additionalItems"
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


def _properties(node: "Node", known: dict[str, Any], opaque: list[str]) -> Properties:
    named = {name: node.below("/properties/" + escaped(name), it) for name, it in known.get("properties", {}).items()}
    patterns = {
        pattern: node.below("/patternProperties/" + escaped(pattern), it)
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
