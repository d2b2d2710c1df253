"""Streams and their event types, the services that use them, and what each may do."""

from streams.models.access import Grant, Key, Service
from streams.models.stream import EventType, Stream
