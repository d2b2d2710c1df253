"""Streams, event types, services and grants in the admin.

- `home`               their part of the first page
- `streams`            the list with live statistics, and a stream's definition
- `events/`            pages of events: the explorer, finding one, an event's page, test events, imports
- `event_types`        event types and their examples
- `candidate_schemas`  back-test a contract's draft; draft a contract from an event type's newest events
- `services`           services, grants, and the integration status
- `keys`               the keys of a service
- `tabs`               the pages of one stream, service or event type, side by side
"""

from core.admin import home as first_page
from streams.admin import candidate_schemas, event_types, home, services, streams  # register their pages
from streams.admin.events import saved_views

first_page.add(first_page.Part(template="streams/admin/home.html", values=home.values))
