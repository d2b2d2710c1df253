"""Sample documents for schemas, for people to start from. They need not be valid: only the validator decides that."""

from collections.abc import Mapping
from typing import Any

from synapse.compatibility import scalar_samples

# A schema may be recursive, or require a larger sample than people read.
_DEEPEST, _MOST_VALUES, _MOST_ITEMS, _LONGEST = 8, 300, 5, 200
_FORMATS = {
    "date-time": "2025-01-31T12:00:00Z",
    "date": "2025-01-31",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "ipv4": "192.0.2.1",
}


def make_sample(schema: Any) -> Any:
    """Return a value with everything that the schema requires, preferring the schema's own examples and constants. Only
    references within the document are followed.
    """
    return _Writer(schema).value(schema, 0)


class _Writer:
    """Writes one sample document for a schema."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._left < 0:
            return None
        if "const" in schema:
            return schema["const"]
        for name in ("examples", "enum"):
            if schema.get(name):
                return schema[name][0]
        if "default" in schema:
            return schema["default"]
        if "$ref" in schema:
            return self.value(self._resolve(str(schema["$ref"])), depth + 1)
        for name in ("oneOf", "anyOf", "allOf"):
            if schema.get(name) and "properties" not in schema:
                return self.value(schema[name][0], depth + 1)
        kind = schema.get("type", "object" if {"properties", "required"} & schema.keys() else None)
        return self._of_type(kind[0] if isinstance(kind, list) and kind else kind, schema, depth)

    def _of_type(self, kind: Any, schema: Mapping[str, Any], depth: int) -> Any:
        match kind:
            case "object":
                properties = schema.get("properties", {})
                return {name: self.value(properties.get(name), depth + 1) for name in schema.get("required", ())}
            case "array":
                items = min(schema.get("minItems", 0), _MOST_ITEMS)
                return [self.value(schema.get("items"), depth + 1) for _ in range(int(items))]
            case "string":
                return _sample_text(schema)
            case "integer" | "number":
                return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
            case "boolean":
                return True
        return None

    def _resolve(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if reference.startswith("#") else None


def _sample_text(schema: Mapping[str, Any]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if "pattern" in schema:
        return next(scalar_samples.matching_texts(schema["pattern"]), "")
    least, most = (min(int(schema.get(name, of)), _LONGEST) for name, of in (("minLength", 0), ("maxLength", _LONGEST)))
    return "text".ljust(least, "x")[:most]
