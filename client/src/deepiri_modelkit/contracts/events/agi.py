"""The events of `agi-decisions`: autonomous decisions and actions of Cyrex-AGI."""

from typing import Literal

from pydantic import Field

from deepiri_modelkit.contracts.events.base import BaseEvent
from deepiri_modelkit.contracts.events.fields import Flag, Identifier, JsonObject, Prose, Share


class DecisionMadeEvent(BaseEvent):
    """Cyrex-AGI decided something by itself."""

    event_type: Literal["decision-made"]
    decision_type: Identifier = Field(description="Kind of decision, for example `scale-service`.")
    decision_id: Identifier | None = Field(default=None, description="Identifier, for events that follow from it.")
    action: JsonObject | None = Field(default=None, description="What should be done, as data; any keys.")
    target_service: Identifier | None = Field(default=None, description="Service that it concerns.")
    reasoning: Prose | None = Field(default=None, description="Why, for people.")
    confidence: Share | None = Field(default=None, description="How sure the AGI is, 0 to 1.")


class ActionTakenEvent(BaseEvent):
    """Cyrex-AGI took an action."""

    event_type: Literal["action-taken"]
    action: Identifier = Field(description="Name of the action, for example `set-replicas`.")
    decision_id: Identifier | None = Field(default=None, description="Decision that it follows from.")
    target_service: Identifier | None = Field(default=None, description="Service that it concerns.")
    parameters: JsonObject | None = Field(default=None, description="What the action was called with; any keys.")
    success: Flag | None = Field(default=None, description="Whether the action succeeded.")
    result: JsonObject | None = Field(default=None, description="What came of it; any keys.")
    error: Prose | None = Field(default=None, description="What went wrong, if anything did.")


class SelfImprovementEvent(BaseEvent):
    """Cyrex-AGI began to improve itself."""

    event_type: Literal["self-improvement"]
    improvement_type: Identifier = Field(description="Kind of improvement, for example `fine-tuning`.")
    target: Identifier | None = Field(default=None, description="Model, prompt or component that is to get better.")
    decision_id: Identifier | None = Field(default=None, description="Decision that it follows from.")
    changes: JsonObject | None = Field(default=None, description="What is being changed; any keys.")
    reasoning: Prose | None = Field(default=None, description="Why, for people.")
    confidence: Share | None = Field(default=None, description="How sure the AGI is, 0 to 1.")
    metrics: JsonObject | None = Field(default=None, description="Measurements by name; any keys.")
