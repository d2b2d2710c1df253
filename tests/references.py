"""References of the OpenAPI document."""

from typing import Any


def resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference stands for; its own description goes before that of the component."""
    if "$ref" not in value:
        return value
    found = document
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found | {name: text for name, text in value.items() if name != "$ref"}
