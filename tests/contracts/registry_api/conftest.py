"""Asking the registry as its clients do."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.both_ways import Answer, DjangoAlone

VENDOR = "application/vnd.schemaregistry.v1+json"


class Registry:
    """A caller of the registry."""

    def __init__(self) -> None:
        self._ask = DjangoAlone()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {"content-type": VENDOR, "accept": VENDOR, **{k.replace("_", "-"): v for k, v in headers.items()}}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self._ask(method, f"/registry{path}", data, sent)

    def register(self, subject: str, document: Any, **more: Any) -> Answer:
        """Register a schema."""
        return self("POST", f"/subjects/{quote(subject, safe='')}/versions", schema(document, **more))

    def error(self, *asked: Any, **headers: str) -> tuple[int, int]:
        """Return the status and the error code of a refusal."""
        answer = self(*asked, **headers)
        assert answer.json.keys() >= {"error_code", "message"}
        assert answer.json["message"]
        return answer.status, answer.json["error_code"]


def schema(document: Any, **more: Any) -> dict[str, Any]:
    """Return the body that brings a schema."""
    return {"schema": json.dumps(document), "schemaType": "JSON", **more}


@pytest.fixture
def registry(db: None) -> Registry:
    return Registry()


@pytest.fixture
def registered(registry: Registry) -> Callable[..., int]:
    """Register a schema and return its id."""

    def register(subject: str, document: Any, **more: Any) -> int:
        answer = registry.register(subject, document, **more)
        assert answer.status == 200, answer.body
        found: int = answer.json["id"]
        return found

    return register
