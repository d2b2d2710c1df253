"""Every required case of the official test suite of JSON Schema is judged by publishing as the suite says.

Each schema becomes the contract of an event type, as a property of its events; each of its values is published in such
an event, all of a schema in one batch, which is read, checked and answered as any other, and not stored.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from streams import connections
from synapse.auth.principal import SYSTEM
from synapse.catalog.stream_definitions import (
    ActiveContract,
    EventTypeDefinition,
    Snapshot,
    StreamDefinition,
)
from synapse.errors.contracts import BadSchema
from synapse.http.exchange import Request
from synapse.publishing import pipeline
from synapse.publishing.body import NDJSON
from synapse.schema.validator import compile_schema
from tests.contracts.test_official_suite import FOLDERS, remotes_of, suite, with_draft

__all__ = ["suite"]

NAME = "of-the-suite.json"
# What is otherwise than in the suite, and documented (docs/contracts.md): by draft the file, the schema and the value.
FORMATS = (
    *("email", "idn-email", "regex", "ipv4", "ipv6", "idn-hostname", "hostname", "date", "date-time", "time", "uuid"),
    *(
        "json-pointer",
        "relative-json-pointer",
        "iri",
        "iri-reference",
        "uri",
        "uri-reference",
        "uri-template",
        "duration",
    ),
)
# An event with a NUL is refused, whatever its contract says.
NUL = [(file, "nul characters in strings", "match string with nul") for file in ("const", "enum")]
# The validator begins at the whole schema, and stops at one without `$recursiveAnchor`.
RECURSIVE = [
    ("recursiveRef", "$recursiveRef with nesting", "integer now matches as a property value"),
    ("recursiveRef", "$recursiveRef with nesting", "two levels, properties match with $recursiveRef"),
]
# Formats are asserted in each draft, as the specification allows.
ASSERTED = [("format", f"{name} format", f"invalid {name} string is only an annotation by default") for name in FORMATS]
EXCEPTIONS = {
    "draft2020-12": [*NUL, *ASSERTED],
    "draft2019-09": [*NUL, *RECURSIVE],
    "draft7": NUL,
    "draft6": NUL,
    "draft4": NUL[1:],
}


@dataclass
class Judged:
    """How many values were judged, and which not as the suite says."""

    groups: int = 0
    values: int = 0
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


def groups(suite: Path, draft: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((suite / "tests" / draft).glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            yield path.stem, group


def contract_of(schema: Any, suite: Path, draft: str) -> ActiveContract:
    """Return the schema as the contract of the property `value`."""
    wrapper: dict[str, Any] = {"$schema": FOLDERS[draft], "properties": {"value": schema}}
    references = {}
    if isinstance(schema, dict):
        schema = with_draft(schema, FOLDERS[draft])
        wrapper["properties"]["value"] = {"$ref": schema.get("$id", schema.get("id", NAME)) or NAME}
        references = {wrapper["properties"]["value"]["$ref"]: schema, **remotes_of(schema, suite, draft)}
    return ActiveContract(subject="suite", version=1, schema=compile_schema(wrapper, references))


def statuses(contract: ActiveContract, values: list[Any]) -> list[dict[str, Any]]:
    """Publish the values, and return the status of each."""
    kinds = {"a": EventTypeDefinition(name="a", contract=contract)}
    catalog = Snapshot(version=1, streams={"s": StreamDefinition(name="s", event_types=kinds)})
    body = "\n".join(json.dumps({"event_type": "a", "value": value}) for value in values).encode()
    request = Request(
        method="POST", path="", params={"stream": "s"}, headers={"content-type": NDJSON}, body=body, principal=SYSTEM
    )
    answer = connections.executor().run(pipeline.validate_events(request, catalog))
    results: list[dict[str, Any]] = json.loads(answer.body)["results"]
    return results


def judge(suite: Path, draft: str) -> Judged:
    judged = Judged()
    for file, group in groups(suite, draft):
        judged.groups += 1
        cases = group["tests"]
        try:
            results = statuses(contract_of(group["schema"], suite, draft), [case["data"] for case in cases])
        except (BadSchema, jsonschema_rs.ValidationError, ValueError) as error:
            judged.wrong.append((file, group["description"], ""))
            judged.why.append(str(getattr(error, "detail", error)))
            continue
        for case, result in zip(cases, results, strict=True):
            judged.values += 1
            if (result["status"] == "accepted") is not case["valid"]:
                judged.wrong.append((file, group["description"], case["description"]))
                judged.why.append(str(result.get("errors")))
    return judged


@pytest.mark.parametrize("draft", FOLDERS)
def test_publishing_judges_every_required_value_of_the_suite_as_the_suite_does(suite: Path, draft: str) -> None:
    judged = judge(suite, draft)

    assert judged.groups > 150
    assert judged.values > 600
    assert sorted(judged.wrong) == sorted(EXCEPTIONS[draft]), judged.why
