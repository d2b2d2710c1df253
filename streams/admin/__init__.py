"""Streams, event types, services and grants in the admin.

- `home`                 their part of the first page
- `streams`              the list with live figures, and a stream's definition
- `messages`             a stream's messages and groups
- `event_types`          event types and their examples
- `test_event`           publishing a test event
- `backtests`            what a contract's draft would say of the events that are there
- `drafts_from_traffic`  a contract that an event type's newest events suggest
- `services`             services and grants
- `keys`                 the keys of a service
- `overview`, `together`, `asking`   reading figures for a page in one pipeline
"""

from core.admin import home as first_page
from streams.admin import (
    backtests,
    contract_usage,
    event_types,
    home,
    services,
    streams,
)

first_page.add(first_page.Part(template="streams/admin/home.html", values=home.values))

__all__ = ["backtests", "contract_usage", "event_types", "services", "streams"]
