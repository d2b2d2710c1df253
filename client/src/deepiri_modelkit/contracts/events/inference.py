"""The events of `inference-events`: requests to Cyrex' models, and their results."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from deepiri_modelkit.contracts.events.base import BaseEvent
from deepiri_modelkit.contracts.events.fields import (
    Count,
    Flag,
    Identifier,
    Location,
    PositiveNumber,
    Share,
    ShortText,
)


class InferenceEvent(BaseEvent):
    """A model answered a request; the event has the latency and the usage."""

    event_type: Literal["inference-complete"]
    model_name: Identifier
    latency_ms: PositiveNumber = Field(description="Time from request to answer, in milliseconds.")
    request_id: Identifier | None = Field(default=None, description="Identifier of the request to the model.")
    confidence: Share | None = Field(default=None, description="How sure the runtime is of the answer, 0 to 1.")
    version: ShortText | None = Field(default=None, description="Version of the model, as the registry spells it.")
    user_id: Identifier | None = Field(default=None, description="User on whose behalf it happened.")
    tokens_used: Count | None = Field(default=None, description="Tokens that the request consumed.")
    cost: PositiveNumber | None = Field(default=None, description="Price of the request, in the publisher's currency.")
    success: Flag | None = Field(default=None, description="Whether the answer was usable; true when empty.")


class InferenceErrorEvent(BaseEvent):
    """A model could not answer a request."""

    event_type: Literal["inference-error"]
    model_name: Identifier
    request_id: Identifier | None = Field(default=None, description="Identifier of the request to the model.")
    error: Annotated[str, Strict(), Field(min_length=1, max_length=20000, description="What went wrong, for people.")]
    error_type: Identifier | None = Field(default=None, description="Class or code of the error, for programs.")
    version: ShortText | None = Field(default=None, description="Version of the model, as the registry spells it.")
    user_id: Identifier | None = Field(default=None, description="User on whose behalf it happened.")
    latency_ms: PositiveNumber | None = Field(default=None, description="Time until it failed, in milliseconds.")
    tokens_used: Count | None = Field(default=None, description="Tokens that the request consumed.")
    success: Flag | None = Field(default=None, description="False, for consumers that read one flag for both outcomes.")


class ModelLoadedEvent(BaseEvent):
    """Cyrex has loaded a model and can serve it."""

    event_type: Literal["model-loaded"]
    model_name: Identifier
    version: ShortText
    load_time_ms: PositiveNumber | None = Field(default=None, description="Time that loading took, in milliseconds.")
    cache_location: Location | None = Field(default=None, description="Where the runtime keeps its copy.")
    size_mb: PositiveNumber | None = Field(default=None, description="Size of the artefacts in megabytes.")
