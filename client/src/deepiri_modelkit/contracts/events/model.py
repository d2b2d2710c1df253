"""The events of `model-events`: the life of a model, from Helox to Cyrex."""

from typing import Literal

from pydantic import Field

from deepiri_modelkit.contracts.events.base import BaseEvent
from deepiri_modelkit.contracts.events.fields import (
    Identifier,
    JsonObject,
    Location,
    PositiveNumber,
    Reason,
    Share,
    ShortText,
)


class ModelReadyEvent(BaseEvent):
    """A newly trained model is registered and can be loaded."""

    event_type: Literal["model-ready"]
    model_name: Identifier
    version: ShortText
    registry_path: Location = Field(description="Where the registry keeps the artefacts, such as an S3 URI.")
    metadata: JsonObject = Field(description="What the training run has to say about the model; any keys.")
    model_type: Identifier | None = Field(default=None, description="Kind of model, for example `classifier`.")
    accuracy: Share | None = Field(default=None, description="Share of the evaluation set answered correctly, 0 to 1.")
    size_mb: PositiveNumber | None = Field(default=None, description="Size of the artefacts in megabytes.")
    checkpoint_path: Location | None = Field(default=None, description="Checkpoint that the model was exported from.")
    metrics: JsonObject | None = Field(default=None, description="Measurements by name; any keys.")


class ModelUpdatedEvent(BaseEvent):
    """A registered model has moved to another version."""

    event_type: Literal["model-updated"]
    model_name: Identifier
    version: ShortText = Field(description="Version that is current from now on.")
    previous_version: ShortText | None = Field(default=None, description="Version that was current until now.")
    registry_path: Location | None = Field(default=None, description="Where the registry keeps the new version.")
    reason: Reason | None = Field(default=None, description="Why the version changed, for people.")
    metadata: JsonObject | None = Field(default=None, description="Anything else worth knowing; any keys.")


class ModelDeprecatedEvent(BaseEvent):
    """A model should no longer be used for new work."""

    event_type: Literal["model-deprecated"]
    model_name: Identifier
    version: ShortText | None = Field(default=None, description="Version withdrawn; every version when empty.")
    reason: Reason | None = Field(default=None, description="Why the model is withdrawn, for people.")
    replacement_model: Identifier | None = Field(default=None, description="Name of the model to use instead.")
    replacement_version: ShortText | None = Field(default=None, description="Version of the model to use instead.")
    metadata: JsonObject | None = Field(default=None, description="Anything else worth knowing; any keys.")
