"""Streams, event types, services and grants in the admin.

- `home`          their part of the first page
- `streams`       the list with live figures, and a stream's definition
- `stream_pages`  a stream's messages and groups
- `event_types`   event types and their examples
- `test_event`    publishing a test event
- `back_tests`    what a contract's draft would say of the events that are there
- `proposals`     a contract that an event type's newest events suggest
- `services`      services and grants
- `keys`          the keys of a service
- `overview`, `together`, `asking`   reading figures for a page in one pipeline
"""

from core.admin import home as first_page
from streams.admin import back_tests, event_types, home, services, streams, uses

first_page.add(first_page.Part(template="streams/admin/home.html", values=home.values))

__all__ = ["back_tests", "event_types", "services", "streams", "uses"]
