"""Schemas that are written by hand, by their names in the OpenAPI document."""

from typing import Any

_EVENT_TYPE = {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,100}$"}
SCHEMAS: dict[str, Any] = {
    "Event": {
        "type": "object",
        "description": "Any JSON object that says what it is. Its event type's contract says what else it must hold.",
        "properties": {
            "event_type": _EVENT_TYPE,
            "event": {**_EVENT_TYPE, "description": "What other publishers call `event_type`; either will do."},
        },
        "anyOf": [{"required": ["event_type"]}, {"required": ["event"]}],
        # What holds without it, too; but generated clients let nothing else be sent.
        "additionalProperties": True,
    },
    "JsonSchema": {
        "type": "object",
        "description": "A JSON Schema, draft 4 to 2020-12.",
        "additionalProperties": True,
    },
}
EVENT = {"$ref": "#/components/schemas/Event"}
JSON_SCHEMA = {"$ref": "#/components/schemas/JsonSchema"}
