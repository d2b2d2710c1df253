"""Random schemas, and random changes of them: small, so that they often have something to do with each other."""

import copy
from typing import Any

import jsonschema_rs
from hypothesis import strategies as st

DRAFTS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
NAMES = ["a", "b", "ab", "c"]
PATTERNS = ["^a", "b$", "^[ab]+$", "^ab?$", "."]
SCALARS = [None, True, False, 0, 1, 1.0, 2, 0.5, -1, "", "a", "ab", "2024-01-15"]
VALUES = [*SCALARS, [], [1], ["a"], {}, {"a": 1}, {"a": "a", "b": 2}]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
COUNTS = st.integers(0, 3)
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 1.5, 2, 3])


def schema(draw: st.DrawFn, draft: int, depth: int = 3) -> Any:
    """Draw a schema of a draft: a few keywords, those that hold schemas only while there is depth left."""
    if draft > 4 and draw(st.integers(0, 9)) == 0:
        return draw(st.booleans())
    known = [*VALUE_KEYWORDS[draft], *(SCHEMA_KEYWORDS[draft] if depth else ())]
    keywords = draw(st.lists(st.sampled_from(known), min_size=0 if depth < 3 else 1, max_size=4, unique=True))
    return {keyword: _value(draw, draft, depth, keyword) for keyword in keywords}


def _value(draw: st.DrawFn, draft: int, depth: int, keyword: str) -> Any:
    if keyword in VALUE_KEYWORDS[draft]:
        return draw(VALUE_KEYWORDS[draft][keyword])

    def inner() -> Any:
        return schema(draw, draft, depth - 1)

    match SCHEMA_KEYWORDS[draft][keyword]:
        case "schema":
            return inner()
        case "schema or boolean":
            return inner() if draw(st.booleans()) else draw(st.booleans())
        case "list":
            return [inner() for _ in range(draw(st.integers(1, 3)))]
        case "schema or list":
            return inner() if draw(st.booleans()) else [inner() for _ in range(draw(st.integers(1, 3)))]
        case "patterns":
            return {pattern: inner() for pattern in draw(SOME_PATTERNS)}
    return {name: inner() for name in draw(SOME_NAMES)}


SOME_NAMES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
SOME_PATTERNS = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2, unique=True)


def _value_keywords(draft: int) -> dict[str, st.SearchStrategy[Any]]:
    types = st.sampled_from(TYPES)
    dependents = st.dictionaries(st.sampled_from(NAMES), SOME_NAMES, max_size=1)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": st.one_of(types, st.lists(types, min_size=1, max_size=3, unique=True)),
        "enum": st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique_by=repr),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 1.5]),
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "minLength": COUNTS,
        "maxLength": COUNTS,
        "pattern": st.sampled_from(PATTERNS),
        "format": st.sampled_from(["date", "ipv4", "unheard-of"]),
        "minItems": COUNTS,
        "maxItems": COUNTS,
        "uniqueItems": st.booleans(),
        "required": SOME_NAMES,
        "minProperties": COUNTS,
        "maxProperties": COUNTS,
    }
    if draft > 4:
        keywords |= {"const": st.sampled_from(VALUES), "exclusiveMinimum": NUMBERS, "exclusiveMaximum": NUMBERS}
    if draft in (6, 7):
        keywords["contentEncoding"] = st.just("base64")
    if draft >= 2019:
        keywords |= {"dependentRequired": dependents, "minContains": COUNTS, "maxContains": COUNTS}
    return keywords


def _schema_keywords(draft: int) -> dict[str, str]:
    keywords = {
        "properties": "names",
        "additionalProperties": "schema or boolean",
        "patternProperties": "patterns",
        "items": "schema" if draft >= 2020 else "schema or list",
        "allOf": "list",
        "anyOf": "list",
        "oneOf": "list",
        "not": "schema",
        "dependencies": "names",
    }
    if draft < 2020:
        keywords["additionalItems"] = "schema or boolean"
    if draft > 4:
        keywords |= {"propertyNames": "schema", "contains": "schema"}
    if draft >= 7:
        keywords |= {"if": "schema", "then": "schema", "else": "schema"}
    if draft >= 2019:
        keywords |= {"dependentSchemas": "names", "unevaluatedProperties": "schema or boolean"}
        keywords |= {"unevaluatedItems": "schema or boolean"}
    if draft >= 2020:
        keywords["prefixItems"] = "list"
    return keywords


VALUE_KEYWORDS = {draft: _value_keywords(draft) for draft in DRAFTS}
SCHEMA_KEYWORDS = {draft: _schema_keywords(draft) for draft in DRAFTS}


@st.composite
def documents(draw: st.DrawFn, draft: int) -> dict[str, Any]:
    """Return whole schemas: with their draft, sometimes with definitions that refer to each other."""
    whole = schema(draw, draft)
    whole = {"allOf": [whole]} if isinstance(whole, bool) else whole
    if draw(st.integers(0, 3)) == 0:
        whole = _with_references(draw, whole, draft)
    return {"$schema": DRAFTS[draft], **whole}


def _with_references(draw: st.DrawFn, whole: dict[str, Any], draft: int) -> dict[str, Any]:
    definition = schema(draw, draft, 1)
    definition = definition if isinstance(definition, dict) else {}
    holder = draw(st.sampled_from(["properties", "items", "allOf"]))
    link = {"$ref": "#/definitions/x"}
    if holder == "properties":
        definition = {**definition, "properties": {**definition.get("properties", {}), "a": link}}
    elif holder == "items":
        definition = {**definition, "items": link}
    place = draw(st.sampled_from(["properties", "items", "allOf"]))
    here = {"properties": {"a": link}, "items": link, "allOf": [link]}[place]
    return {**whole, place: here, "definitions": {"x": definition}}


@st.composite
def changed(draw: st.DrawFn, whole: dict[str, Any], draft: int) -> dict[str, Any]:
    """Return the schema with one to three changes."""
    result = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        parts = places(result)
        _change(draw, parts[draw(st.integers(0, len(parts) - 1))], draft)
    return result


def places(whole: Any) -> list[dict[str, Any]]:
    """Return the schemas inside a schema."""
    if not isinstance(whole, dict):
        return []
    found = [whole]
    for keyword, value in whole.items():
        if keyword in ("properties", "patternProperties", "definitions", "dependentSchemas"):
            found += [place for item in value.values() for place in places(item)]
        elif keyword in ("allOf", "anyOf", "oneOf", "prefixItems") or (keyword == "items" and isinstance(value, list)):
            found += [place for item in value for place in places(item)]
        elif keyword not in ("enum", "const", "dependencies", "dependentRequired"):
            found += places(value)
    return found


def _change(draw: st.DrawFn, place: dict[str, Any], draft: int) -> None:
    keywords = [keyword for keyword in place if keyword not in ("$schema", "definitions", "$ref")]
    match draw(
        st.sampled_from(["drop", "add", "number", "values", "property", "property", "close", "wrap", "required"])
    ):
        case "drop" if keywords:
            del place[draw(st.sampled_from(keywords))]
        case "add":
            other = schema(draw, draft, 1)
            if isinstance(other, dict) and other:
                keyword = draw(st.sampled_from(sorted(other)))
                place.setdefault(keyword, other[keyword])
        case "number":
            numeric = [it for it in keywords if isinstance(place[it], (int, float)) and not isinstance(place[it], bool)]
            if numeric:
                keyword = draw(st.sampled_from(numeric))
                place[keyword] = max(
                    place[keyword] + draw(st.sampled_from([-1, 1])), 0 if keyword != "multipleOf" else 1
                )
        case "values" if "enum" in place:
            place["enum"] = [*place["enum"], draw(st.sampled_from([v for v in VALUES if v not in place["enum"]]))]
        case "property":
            inner = schema(draw, draft, 1)
            place["properties"] = {**place.get("properties", {}), draw(st.sampled_from(NAMES)): inner}
        case "close":
            place["additionalProperties"] = False
        case "wrap" if keywords:
            moved = {keyword: place.pop(keyword) for keyword in keywords}
            place[draw(st.sampled_from(["allOf", "anyOf", "oneOf"]))] = [moved]
        case "required":
            names = {*place.get("required", ()), draw(st.sampled_from(NAMES))}
            place["required"] = sorted(names)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a writer's schema and a reader's: mostly two states of one schema, in either order."""
    draft = draw(st.sampled_from(sorted(DRAFTS)))
    one = draw(documents(draft))
    if draw(st.integers(0, 4)):
        other = draw(changed(one, draft))
        if draw(st.integers(0, 9)) == 0:
            other = {**other, "$schema": DRAFTS[draw(st.sampled_from(sorted(DRAFTS)))]}
    else:
        other = draw(documents(draw(st.sampled_from(sorted(DRAFTS)))))
    return (one, other) if draw(st.booleans()) else (other, one)


def validator_of(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Return the real validator, as `synapse.schema.validator` makes it."""
    return jsonschema_rs.validator_for(
        {"$schema": DRAFTS[2020], **schema}, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
    )
