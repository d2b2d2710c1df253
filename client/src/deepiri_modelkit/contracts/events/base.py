"""The base class of all events."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict

from deepiri_modelkit.contracts.events.fields import Identifier, Timestamp
from deepiri_modelkit.names import NAME_PATTERN

# Inside the class, `dict` means the method.
_Properties = dict[str, Any]


class BaseEvent(BaseModel):
    """An event of any type. Properties that a model does not declare are allowed and kept.

    `timestamp` (ISO 8601) and `source` may stay empty: publishing adds them to the entry for readers that need them.
    """

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    event_type: Annotated[str, Strict(), Field(pattern=NAME_PATTERN, description="What kind of event it is.")]
    timestamp: Timestamp | None = Field(default=None, description="When it happened; without an offset it is UTC.")
    source: Identifier | None = Field(default=None, description="Program that published the event.")
    correlation_id: Identifier | None = Field(
        default=None, description="Identifier shared by all events of one piece of work."
    )

    def dict(self, **options: Any) -> _Properties:
        """Return the event as a dictionary, like `model_dump` and with its options. Values keep their types; empty ones
        are None.
        """
        return self.model_dump(**options)

    def json(self, **options: Any) -> str:
        """Return the event as JSON text, like `model_dump_json` and with its options."""
        return self.model_dump_json(**options)
