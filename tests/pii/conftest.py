"""A stream whose contract marks PII, and callers who may not see it."""

from collections.abc import Iterator
from typing import Any

import pytest

from synapse.auth.principal import Action
from synapse.schema.pii import MASK
from tests.callers import callers_with
from tests.definitions import define

__all__ = ["MASK"]

# What is marked stands behind references, under a name that is no address of the web: the harder way to write it.
CONTRACT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "urn:example:order",
    "type": "object",
    "definitions": {
        "email": {"type": "string", "x-pii": True},
        "card": {
            "$id": "#card",
            "type": "object",
            "properties": {"holder": {"x-pii": True}, "brand": {"type": "string"}},
        },
    },
    "properties": {"email": {"$ref": "#/definitions/email"}, "n": {"type": "integer"}, "card": {"$ref": "#card"}},
    "required": ["email"],
}
EVENT = {
    "event_type": "order-placed",
    "email": "anna@example.org",
    "n": 7,
    "card": {"holder": "Anna Ek", "brand": "visa"},
}
HIDDEN = {**EVENT, "email": MASK, "card": {"holder": MASK, "brand": "visa"}}


class Impersonal:
    """Every right except that to see PII."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        return True

    def has(self, scope: str) -> bool:
        return scope != "personal:read"


@pytest.fixture
def orders(db: None) -> Any:
    """The stream: one type with personal fields, one without a contract."""
    return define("orders", {"order-placed": CONTRACT, "order-lost": None})


@pytest.fixture
def impersonal() -> Iterator[None]:
    """Callers without a key may not see PII, on the fast path and in Django."""
    with callers_with(Impersonal()):
        yield
