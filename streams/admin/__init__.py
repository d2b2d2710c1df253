"""Streams, event types, services and grants in the admin.

- `home`               their part of the first page
- `streams`            the list with live statistics, and a stream's definition
- `explorer`           events of one or many streams, found by text, filter, type and time
- `saved_views`        searches of the explorer that people keep
- `event_pages`        one event as a program, and the difference of two
- `messages`           one message, and a stream's groups
- `event_types`        event types and their examples
- `test_event`         publish a test event, or an event again
- `candidate_schemas`  back-test a contract's draft; draft a contract from an event type's newest events
- `services`           services, grants, and the integration status
- `keys`               the keys of a service
- `tabs`               the pages of one stream, service or event type, side by side
"""

from core.admin import home as first_page
from streams.admin import candidate_schemas, event_types, home, saved_views, services, streams  # register their pages

first_page.add(first_page.Part(template="streams/admin/home.html", values=home.values))
