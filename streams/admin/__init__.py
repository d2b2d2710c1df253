"""Streams, event types, services and grants in the admin.

- `home`               the part of the first page about streams, with `attention`, its lines about what needs attention,
  and `stream_rows`, its table
- `streams`            the list with live statistics, and a stream's definition
- `events/`            the explorer, search by id, the page of an event, test events, imports
- `event_types`        event types and their examples
- `candidate_schemas`  back-test a contract's draft; draft a contract from an event type's newest events
- `services`           services, grants, and the integration status
- `keys`               the keys of a service
- `tabs`               links between the pages of one stream, service or event type
"""

from core.admin import home as first_page
from streams.admin import candidate_schemas, event_types, home, services, streams  # register their pages
from streams.admin.events import saved_views

first_page.add(first_page.Part(template="streams/admin/home.html", values=home.build_context))
