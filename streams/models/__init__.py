"""Streams and their event types, the services that use them, what each may do, and saved views of their events."""

from streams.models.access import Grant, Key, Service
from streams.models.saved_view import SavedView
from streams.models.stream import EventType, Stream
