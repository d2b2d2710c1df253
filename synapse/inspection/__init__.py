"""Inspection of streams, their entries and their groups over HTTP.

Endpoints without I/O or Django: the event loop and Django run the same conversations.
"""

from synapse.inspection.groups import list_groups
from synapse.inspection.messages import list_messages, show_message
