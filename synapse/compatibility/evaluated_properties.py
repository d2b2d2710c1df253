"""`unevaluatedProperties` and `unevaluatedItems`, where it is fixed what they leave.

They apply to what no other keyword of the same place has looked at, which can depend on the document (an `anyOf`
whose branches declare properties). Then they are opaque. Where `properties`, `allOf` and `$ref` alone decide, they
say the same as `additionalProperties` and `items` would with all names and positions in one place.
"""

from typing import TYPE_CHECKING, Any

from synapse.compatibility.facets import Rest
from synapse.compatibility.keywords import DRAFT_2020, is_known

if TYPE_CHECKING:
    from synapse.compatibility.schema_model import Node

_MAY_DEPEND = ("anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "dependencies")
_ABOUT_PROPERTIES = frozenset(["properties", "patternProperties", "additionalProperties", "unevaluatedProperties"])
_ABOUT_ITEMS = frozenset(["items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"])


class _DependsOnTheDocument(Exception):
    """What is evaluated is not fixed."""


def rest_of_properties(node: "Node", known: dict[str, Any], opaque: list[str]) -> tuple[Rest, ...]:
    """Return what `unevaluatedProperties` says, as one rest; nothing where all is evaluated."""
    keyword = "unevaluatedProperties"
    try:
        names: set[str] = set()
        patterns: dict[str, None] = {}
        for part in _places(node, _ABOUT_PROPERTIES):
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
    """Return prefix, rest and the rest's keyword with what `unevaluatedItems` says."""
    keyword = "unevaluatedItems"
    longest = len(prefix)
    try:
        for part in _places(node, _ABOUT_ITEMS):
            if "contains" in part.schema:
                raise _DependsOnTheDocument
            if (part is not node and keyword in part.schema) or _evaluates_all_items(part):
                return prefix, None, ""
            longest = max(longest, len(part.schema.get("prefixItems" if part.draft >= DRAFT_2020 else "items", ())))
    except _DependsOnTheDocument:
        opaque.append(keyword)
        return prefix, None, ""
    anything = node.made(True)
    rest = node.below("/" + keyword, known[keyword])
    return (*prefix, *[anything] * (longest - len(prefix))), rest, keyword


def _evaluates_all_items(node: "Node") -> bool:
    if node.draft >= DRAFT_2020:
        return "items" in node.schema
    items = node.schema.get("items", [])
    return not isinstance(items, list) or ("items" in node.schema and "additionalItems" in node.schema)


def _places(start: "Node", about: frozenset[str]) -> list["Node"]:
    """Return the schemas that certainly apply where `start` does, itself first.

    Raises:
        _DependsOnTheDocument: when another one may, and would evaluate something.
    """
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
            if keyword in node.schema and is_known(keyword, node.draft) and _evaluates(node.schema[keyword], about):
                raise _DependsOnTheDocument
    return places


def _evaluates(schema: Any, about: frozenset[str]) -> bool:
    """Say whether one of these keywords, or a reference that may lead to one, is anywhere inside."""
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
