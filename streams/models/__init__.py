"""Models of streams and event types, of services with their keys and grants, and of saved views."""

from streams.models.access import Grant, Key, Service
from streams.models.saved_view import SavedView
from streams.models.stream import EventType, Stream
