"""The pages of one stream, side by side. Apps above this one may add theirs."""

from django.urls import reverse

from core.admin.pages import Tab
from streams.models import EventType, Service, Stream

# Title, and the name of a URL that takes the stream's primary key.
STREAM_PAGES = [
    ("Messages", "admin:streams_stream_messages"),
    ("Groups", "admin:streams_stream_groups"),
    ("Definition", "admin:streams_stream_change"),
]
# Title, and the name of a URL that takes the stream's primary key and a group's name.
GROUP_PAGES: list[tuple[str, str]] = []
SERVICE_PAGES = [
    ("Definition", "admin:streams_service_change"),
    ("Keys", "admin:streams_service_keys"),
]
EVENT_TYPE_PAGES = [
    ("Definition", "admin:streams_eventtype_change"),
    ("Publish a test event", "admin:streams_eventtype_publish"),
    ("Draft from traffic", "admin:streams_eventtype_draft"),
]


def of_stream(stream: Stream, active: str) -> list[Tab]:
    """Return the tabs of a stream's pages."""
    return _tabs(STREAM_PAGES, stream.pk, active)


def of_group(stream: Stream, group: str) -> list[Tab]:
    """Return the pages of a stream's group: none when no address can hold its name."""
    if "/" in group:
        return []
    return [Tab(title=title, url=reverse(name, args=[stream.pk, group])) for title, name in GROUP_PAGES]


def of_service(service: Service, active: str) -> list[Tab]:
    """Return the tabs of a service's pages."""
    return _tabs(SERVICE_PAGES, service.pk, active)


def of_event_type(event_type: EventType, active: str) -> list[Tab]:
    """Return the tabs of an event type's pages."""
    return _tabs(EVENT_TYPE_PAGES, event_type.pk, active)


def _tabs(pages: list[tuple[str, str]], pk: int, active: str) -> list[Tab]:
    return [Tab(title=title, url=reverse(name, args=[pk]), active=title == active) for title, name in pages]
