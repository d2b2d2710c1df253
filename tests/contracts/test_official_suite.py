"""Every reference in the official test suite of JSON Schema leads where the suite says that it does."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from synapse.errors.contracts import NoPythonCode
from synapse.schema.codegen.generator import bundle_schema
from synapse.schema.references import Document, ReferenceResolver, rewrite
from synapse.schema.validator import DRAFTS, compile_schema
from tests.contracts.official_suite import suite as suite  # noqa: PLC0414 - a fixture

FILES = (
    *("ref", "refRemote", "anchor", "id", "dynamicRef", "recursiveRef", "defs", "definitions"),
    *("infinite-loop-detection", "optional/anchor", "optional/id", "optional/unknownKeyword"),
    *("optional/refOfUnknownKeyword", "optional/cross-draft", "optional/dynamicRef"),
)
FOLDERS = dict(zip(("draft2020-12", "draft2019-09", "draft7", "draft6", "draft4"), DRAFTS, strict=True))
REMOTE = "http://localhost:1234/"


def with_draft(schema: Any, draft: str) -> Any:
    return {"$schema": draft, **schema} if isinstance(schema, dict) else schema


def groups(suite: Path, draft: str) -> Iterator[tuple[str, dict[str, Any], list[Mapping[str, Any]]]]:
    """Give each schema of a draft's files about references: its name, itself, and the values that the suite judges."""
    for name in FILES:
        path = suite / "tests" / draft / f"{name}.json"
        for group in json.loads(path.read_text()) if path.exists() else ():
            if isinstance(group["schema"], dict):
                yield f"{name}: {group['description']}", with_draft(group["schema"], FOLDERS[draft]), group["tests"]


def remotes_of(schema: dict[str, Any], suite: Path, draft: str) -> dict[str, dict[str, Any]]:
    """Return the remote schemas that the validator asks for, by their addresses."""
    asked: dict[str, dict[str, Any]] = {}

    def retrieve(address: str) -> Any:
        file = suite / "remotes" / address.removeprefix(REMOTE)
        asked[address] = with_draft(json.loads(file.read_text()), FOLDERS[draft])
        return asked[address]

    jsonschema_rs.validator_for(schema, retriever=retrieve)
    return asked


def is_dynamic(resolver: ReferenceResolver) -> bool:
    """Say whether a dynamic reference may lead to more than one place: one bundle cannot say that."""
    found = False

    def look(part: Document) -> Document:
        nonlocal found
        found = found or {*map(id, resolver.possible_targets(part))} > {*map(id, resolver.targets(part))}
        return part

    for document in (resolver.root, *resolver.documents.values()):
        rewrite(document, look)
    return found


@pytest.mark.parametrize("draft", FOLDERS)
def test_every_reference_of_the_suite_is_resolved_as_the_suite_judges_values(suite: Path, draft: str) -> None:
    judged, wrong = 0, []
    for name, schema, values in groups(suite, draft):
        references = remotes_of(schema, suite, draft)
        compiled = compile_schema(schema, references)
        try:
            # Pointers that our resolver found, in place of all references of the schema.
            bundle = jsonschema_rs.validator_for(bundle_schema(schema, references))
        except NoPythonCode as error:
            wrong += [] if "meta-schema" in error.detail else [f"{name}: {error.detail}"]
            continue
        # A bundle is of one draft, and has one target for each reference.
        may_differ = "cross-draft" in name or is_dynamic(ReferenceResolver(schema, references))
        for value in values:
            judged += 1
            is_right = bundle.is_valid(value["data"]) is value["valid"] or may_differ
            if compiled.accepts(value["data"]) is not value["valid"] or not is_right:
                wrong.append(f"{name}: {value['description']}")

    assert not wrong
    assert judged > 60
