"""What is there? Streams, their entries and their groups, as HTTP shows them.

Conversations without I/O or Django: the express lane and the Django views run the same ones.
"""

from synapse.inspection.groups import groups
from synapse.inspection.messages import is_long, message, messages
from synapse.inspection.streams import info, one_stream, streams

__all__ = ["groups", "info", "is_long", "message", "messages", "one_stream", "streams"]
