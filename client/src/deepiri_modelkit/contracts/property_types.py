"""The types of properties in the models, for reading entries that carry text only."""

from functools import cache
from typing import Any

from deepiri_modelkit.contracts.events import EVENT_MODELS
from deepiri_modelkit.wire import PropertyTypes


@cache
def property_types() -> dict[str, PropertyTypes]:
    """Return, for each event type of the platform, the JSON types that its properties may have."""
    return {
        event_type: {
            name: types for name, schema in model.model_json_schema()["properties"].items() if (types := _types(schema))
        }
        for event_type, model in EVENT_MODELS.items()
    }


def _types(schema: dict[str, Any]) -> frozenset[str]:
    # Pydantic writes "or null" as two schemas to choose from.
    choices = schema.get("anyOf", [schema])
    return frozenset(choice["type"] for choice in choices if "type" in choice)
