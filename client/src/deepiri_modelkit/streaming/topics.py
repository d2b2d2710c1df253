"""The platform's streams by name."""

from enum import StrEnum


class StreamTopics(StrEnum):
    """The five streams of the platform. Each member is a `str` and can be used as the stream's name."""

    MODEL_EVENTS = "model-events"
    """Model lifecycle events from Helox to Cyrex."""
    INFERENCE_EVENTS = "inference-events"
    """Real-time inference metrics from Cyrex."""
    PLATFORM_EVENTS = "platform-events"
    """Platform-wide events: user actions, system events."""
    AGI_DECISIONS = "agi-decisions"
    """Autonomous decisions from Cyrex-AGI."""
    TRAINING_EVENTS = "training-events"
    """Training progress and metrics from Helox."""
