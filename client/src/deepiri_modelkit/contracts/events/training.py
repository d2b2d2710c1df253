"""The events of `training-events`: the progress of Helox' training runs. All events of a run share its
`experiment_id`.
"""

from typing import Literal

from pydantic import Field

from deepiri_modelkit.contracts.events.base import BaseEvent
from deepiri_modelkit.contracts.events.fields import (
    Count,
    Identifier,
    JsonObject,
    Location,
    Number,
    PositiveNumber,
    Prose,
    Share,
    ShortText,
)


class TrainingEvent(BaseEvent):
    """The properties that all events of a training run share."""

    experiment_id: Identifier = Field(description="Identifier of the training run.")
    model_name: Identifier = Field(description="Model that is being trained.")
    status: ShortText | None = Field(default=None, description="State of the run in the trainer's words.")
    progress: Share | None = Field(default=None, description="Share of the run that is done, 0 to 1.")
    metrics: JsonObject | None = Field(default=None, description="Measurements by name; any keys.")
    error: Prose | None = Field(default=None, description="What went wrong, if anything did.")
    training_run_request_id: Identifier | None = Field(default=None, description="Request that the run answers.")


class TrainingStartedEvent(TrainingEvent):
    """A training job began to run."""

    event_type: Literal["training-started"]
    total_epochs: PositiveNumber | None = Field(default=None, description="Epochs that the run is planned for.")
    total_steps: Count | None = Field(default=None, description="Steps that the run is planned for.")
    hyperparameters: JsonObject | None = Field(default=None, description="Settings of the run; any keys.")


class TrainingProgressEvent(TrainingEvent):
    """A training job reached another epoch or step."""

    event_type: Literal["training-progress"]
    epoch: PositiveNumber | None = Field(default=None, description="Epoch reached; trainers may count fractions.")
    total_epochs: PositiveNumber | None = Field(default=None, description="Epochs that the run is planned for.")
    step: Count | None = Field(default=None, description="Step reached.")
    total_steps: Count | None = Field(default=None, description="Steps that the run is planned for.")
    loss: Number | None = Field(default=None, description="Value of the loss function.")
    learning_rate: PositiveNumber | None = Field(default=None, description="Learning rate in use.")
    accuracy: Share | None = Field(default=None, description="Share of the evaluation set answered correctly, 0 to 1.")


class TrainingCompleteEvent(TrainingEvent):
    """A training job ran to its end. If the model is to be served, `model-ready` announces it separately."""

    event_type: Literal["training-complete"]
    version: ShortText | None = Field(default=None, description="Version of the model, as the registry spells it.")
    epoch: PositiveNumber | None = Field(default=None, description="Epoch reached; trainers may count fractions.")
    step: Count | None = Field(default=None, description="Step reached.")
    accuracy: Share | None = Field(default=None, description="Share of the evaluation set answered correctly, 0 to 1.")
    loss: Number | None = Field(default=None, description="Value of the loss function.")
    duration_seconds: PositiveNumber | None = Field(default=None, description="How long the run took, in seconds.")
    checkpoint_path: Location | None = Field(default=None, description="Last checkpoint of the run.")


class TrainingFailedEvent(TrainingEvent):
    """A training job stopped on an error."""

    event_type: Literal["training-failed"]
    error_type: Identifier | None = Field(default=None, description="Class or code of the error, for programs.")
    epoch: PositiveNumber | None = Field(default=None, description="Epoch reached; trainers may count fractions.")
    step: Count | None = Field(default=None, description="Step reached.")
    duration_seconds: PositiveNumber | None = Field(default=None, description="How long the run took, in seconds.")
