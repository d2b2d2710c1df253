"""Random pairs of schemas of the official test suite: two states of one, or any two of a draft."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

from tests.contracts.compatibility.schemas import DRAFTS, places, validator_of

FOLDERS = {4: "draft4", 6: "draft6", 7: "draft7", 2019: "draft2019-09", 2020: "draft2020-12"}


@dataclass(frozen=True)
class Group:
    """A schema of the suite, with the documents that the suite judges by it."""

    schema: dict[str, Any]
    documents: list[Any]


def groups(suite: Path, draft: int) -> list[Group]:
    """Return the suite's schemas of a draft that need no other ones."""
    found = []
    for path in sorted((suite / "tests" / FOLDERS[draft]).rglob("*.json")):
        for each in json.loads(path.read_text()):
            schema = each["schema"]
            if isinstance(schema, dict) and _is_usable(schema := {"$schema": DRAFTS[draft], **schema}):
                found.append(Group(schema, [test["data"] for test in each["tests"]]))
    return found


def pairs(suite: Path, chance: random.Random, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[Any]]]:
    """Return so many pairs of a writer's schema and a reader's, with documents to try them with."""
    known = {draft: groups(suite, draft) for draft in FOLDERS}
    while count:
        draft = chance.choice(list(known))
        one, other = chance.choice(known[draft]), chance.choice(known[draft])
        schema = one.schema
        for _ in range(chance.randrange(3)):
            schema = _changed(chance, schema, chance.choice(known[draft]).schema)
        changed = other.schema if chance.random() < 0.2 else _changed(chance, schema, other.schema)
        pair = (schema, changed) if chance.random() < 0.5 else (changed, schema)
        if all(map(_is_usable, pair)):
            count -= 1
            yield *pair, [*one.documents, *other.documents]


def _is_usable(schema: dict[str, Any]) -> bool:
    try:
        return validator_of(schema) is not None
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return False


def _changed(chance: random.Random, schema: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with one part changed, by what another one says."""
    result = copy.deepcopy(schema)
    place = chance.choice(places(result))
    said = {keyword: value for keyword, value in other.items() if keyword not in ("$schema", "$id", "id")}
    own = [keyword for keyword in place if keyword not in ("$schema", "$ref", "$id", "id", "$defs", "definitions")]
    match chance.randrange(6):
        case 0 if own:
            del place[chance.choice(own)]
        case 1 if said:
            keyword = chance.choice(sorted(said))
            place[keyword] = copy.deepcopy(said[keyword])
        case 2:
            properties = place.setdefault("properties", {})
            if isinstance(properties, dict):
                properties[chance.choice(["foo", "bar", "new"])] = copy.deepcopy(said)
        case 3 if own:
            place[chance.choice(["anyOf", "oneOf"])] = [{keyword: place.pop(keyword) for keyword in own}, said]
        case 4:
            place["allOf"] = [*(place.get("allOf") or ()), copy.deepcopy(said)]
        case _:
            numbers = [it for it in own if isinstance(place[it], int) and not isinstance(place[it], bool)]
            if numbers:
                place[chance.choice(numbers)] += chance.choice([-1, 1])
    return result
