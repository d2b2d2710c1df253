"""Hostile schemas: fetching, endless or too large. The registry refuses each without fetching."""

import json

from tests.contracts.test_hostile import HOSTILE
from tests.hostile.cases import Case

TARGETS = ("/registry/subjects/hostile/versions", "/registry/compatibility/subjects/hostile/versions/latest")
UNIQUE = {"uniqueItems": True, "enum": [[{"a": n} for n in range(20_000)]]}


def register(name: str, schema: object, target: str, status: int) -> Case:
    body = json.dumps({"schema": json.dumps(schema), "schemaType": "JSON"}).encode()
    return Case(name=f"{name} ({target[10:20]})", target=target, body=body, status=status)


def cases(listener: int) -> list[Case]:
    """Return the cases; their references lead to a listener on this port."""
    texts = {
        name: json.dumps(schema).replace("127.0.0.1:9/", f"127.0.0.1:{listener}/") for name, schema in HOSTILE.items()
    }
    schemas = {name: json.loads(text) for name, text in texts.items()}
    schemas["20,000 things to tell apart"] = UNIQUE
    return [register(name, schema, target, 422) for name, schema in schemas.items() for target in TARGETS]
