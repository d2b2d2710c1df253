"""One schema that refers to nothing outside itself, of several that refer to one another. Pure."""

from collections.abc import Mapping
from typing import Any

from contracts.errors import NoPythonCode

Document = Mapping[str, Any]

_NAMES = ("$id", "id")


def bundled(document: Document, references: Mapping[str, Document]) -> dict[str, Any]:
    """Return the schema with those that it refers to among its `$defs`.

    Raises:
        NoPythonCode: when a `$ref` is no name of a reference, and no place in its own schema.
    """
    places = {name: f"reference_{number}" for number, name in enumerate(references, 1)}
    made: dict[str, Any] = _rewritten(document, "", places)
    if places:
        others = {place: _rewritten(references[name], f"/$defs/{place}", places) for name, place in places.items()}
        made["$defs"] = {**made.get("$defs", {}), **others}
    return made


def _rewritten(value: Any, base: str, places: Mapping[str, str], *, is_top: bool = True) -> Any:
    if isinstance(value, list):
        return [_rewritten(part, base, places, is_top=False) for part in value]
    if not isinstance(value, Mapping):
        return value
    made = {}
    for key, part in value.items():
        if key in {"$ref", "$dynamicRef", "$recursiveRef"} and isinstance(part, str):
            made["$ref"] = _place(part, base, places)
        elif is_top and key in _NAMES and isinstance(part, str):
            # By its address it could be asked for where it is not.
            continue
        else:
            made[key] = _rewritten(part, base, places, is_top=False)
    return made


def _place(target: str, base: str, places: Mapping[str, str]) -> str:
    address, _, fragment = target.partition("#")
    if fragment and not fragment.startswith("/"):
        raise NoPythonCode(f"Its “$ref” names an anchor, “{target[:200]}”; only places and references can be followed.")
    if not address:
        return f"#{base}{fragment}"
    if address not in places:
        raise NoPythonCode(f"Its “$ref” names an address, “{target[:200]}”, that is none of its references' names.")
    return f"#/$defs/{places[address]}{fragment}"
