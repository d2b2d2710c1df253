"""The types of properties in the models, for decoding entries that hold only texts."""

from functools import cache
from typing import Any

from deepiri_modelkit.contracts.events import EVENT_MODELS
from deepiri_modelkit.wire import PropertyTypes


@cache
def property_types() -> dict[str, PropertyTypes]:
    """Return, for each event type of the platform, the JSON types that its properties may have."""
    return {
        event_type: {
            name: types
            for name, schema in model.model_json_schema()["properties"].items()
            if (types := _types_of(schema))
        }
        for event_type, model in EVENT_MODELS.items()
    }


def _types_of(schema: dict[str, Any]) -> frozenset[str]:
    # Pydantic writes "or null" as `anyOf` of two schemas.
    choices = schema.get("anyOf", [schema])
    return frozenset(choice["type"] for choice in choices if "type" in choice)
