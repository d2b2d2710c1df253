"""Publishing events and subscribing to them."""

from deepiri_modelkit.streaming.client import StreamingClient
from deepiri_modelkit.streaming.received import ReceivedEvent
from deepiri_modelkit.streaming.topics import StreamTopics

__all__ = ["ReceivedEvent", "StreamTopics", "StreamingClient"]
