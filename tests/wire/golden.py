"""The golden entries: `entries.json`, which the server's tests and the client's both read.

A case holds the `fields` of an entry (`fields_hex` where they are not UTF-8), what everybody must read from them
(`event`, `event_type`, `layout`, `contract_version`, `timestamp`, `source`), and who wrote them. `published` is what
the publisher sent where the canonical event differs from it. `types_of` is what the reader knows of contracts.
`cloudevent` are the attributes of an event that came as a CloudEvent.
Numbers are part of the bargain: 45 is not 45.0.
"""

import json
from pathlib import Path
from typing import Any

Case = dict[str, Any]

CASES: list[Case] = json.loads(Path(__file__).with_name("entries.json").read_text(encoding="utf-8"))


def written_by(writer: str) -> list[Case]:
    """Return the cases that one writer must reproduce."""
    return [case for case in CASES if case["written_by"] == writer]


def name_of(case: Case) -> str:
    return str(case["name"])


def fields_of(case: Case) -> dict[bytes, bytes]:
    """Return the fields of a case's entry as Redis holds them."""
    if "fields_hex" in case:
        return {bytes.fromhex(name): bytes.fromhex(text) for name, text in case["fields_hex"].items()}
    return {name.encode(): text.encode() for name, text in case["fields"].items()}


def published_of(case: Case) -> dict[str, Any]:
    """Return the event as its publisher sent it."""
    event: dict[str, Any] = case["published"] if "published" in case else case["event"]
    return event


def types_of(case: Case) -> dict[str, dict[str, frozenset[str]]]:
    """Return what the reader of a case knows of contracts, as both codecs take it."""
    return {
        event_type: {name: frozenset(types) for name, types in properties.items()}
        for event_type, properties in case.get("types_of", {}).items()
    }


def exactly(value: Any) -> str:
    """Return a text that is equal for equal JSON values only: it tells 45 from 45.0, and True from 1."""
    return json.dumps(value, sort_keys=True)
