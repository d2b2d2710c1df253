"""Streams, event types, services and grants in the admin.

- `home`         their part of the first page
- `streams`      the list with live figures, and a stream's definition
- `stream_pages` a stream's messages and groups
- `event_types`  event types and their examples
- `test_event`   publishing a test event
- `services`     services and grants
- `integration`  which services take part: what Redis tells of them
- `overview`, `together`, `asking`   reading figures for a page in one pipeline
"""

from core.admin import home as first_page
from streams.admin import event_types, home, services, streams, uses

first_page.add(first_page.Part(template="streams/admin/home.html", values=home.values))

__all__ = ["event_types", "services", "streams", "uses"]
