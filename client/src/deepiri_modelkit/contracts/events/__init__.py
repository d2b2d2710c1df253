"""The platform's sixteen event types as Pydantic models, and `BaseEvent` for all others.

A model accepts exactly the events that the contract of its event type accepts. Names and types of properties are equal.
"""

from collections.abc import Mapping
from typing import Any

from deepiri_modelkit.contracts.events.agi import ActionTakenEvent, DecisionMadeEvent, SelfImprovementEvent
from deepiri_modelkit.contracts.events.base import BaseEvent
from deepiri_modelkit.contracts.events.inference import InferenceErrorEvent, InferenceEvent, ModelLoadedEvent
from deepiri_modelkit.contracts.events.model import ModelDeprecatedEvent, ModelReadyEvent, ModelUpdatedEvent
from deepiri_modelkit.contracts.events.platform import ServiceStatusEvent, SystemEvent, UserActionEvent
from deepiri_modelkit.contracts.events.training import (
    TrainingCompleteEvent,
    TrainingEvent,
    TrainingFailedEvent,
    TrainingProgressEvent,
    TrainingStartedEvent,
)
from deepiri_modelkit.wire import canonical

EVENT_MODELS: dict[str, type[BaseEvent]] = {
    "model-ready": ModelReadyEvent,
    "model-updated": ModelUpdatedEvent,
    "model-deprecated": ModelDeprecatedEvent,
    "inference-complete": InferenceEvent,
    "inference-error": InferenceErrorEvent,
    "model-loaded": ModelLoadedEvent,
    "user-action": UserActionEvent,
    "system-event": SystemEvent,
    "service-status": ServiceStatusEvent,
    "decision-made": DecisionMadeEvent,
    "action-taken": ActionTakenEvent,
    "self-improvement": SelfImprovementEvent,
    "training-started": TrainingStartedEvent,
    "training-progress": TrainingProgressEvent,
    "training-complete": TrainingCompleteEvent,
    "training-failed": TrainingFailedEvent,
}
"""The model of each event type."""


def parse_event(event: Mapping[str, Any]) -> BaseEvent:
    """Parse an event as the model of its type, or as a plain `BaseEvent` if the type is not one of the platform's.

    Raises:
        pydantic.ValidationError: when the event breaks the contract of its type, or has no type.
    """
    found = canonical(event)
    event_type = found.get("event_type")
    model = EVENT_MODELS.get(event_type, BaseEvent) if isinstance(event_type, str) else BaseEvent
    return model.model_validate(found)


__all__ = [
    "EVENT_MODELS",
    "ActionTakenEvent",
    "BaseEvent",
    "DecisionMadeEvent",
    "InferenceErrorEvent",
    "InferenceEvent",
    "ModelDeprecatedEvent",
    "ModelLoadedEvent",
    "ModelReadyEvent",
    "ModelUpdatedEvent",
    "SelfImprovementEvent",
    "ServiceStatusEvent",
    "SystemEvent",
    "TrainingCompleteEvent",
    "TrainingEvent",
    "TrainingFailedEvent",
    "TrainingProgressEvent",
    "TrainingStartedEvent",
    "UserActionEvent",
    "parse_event",
]
