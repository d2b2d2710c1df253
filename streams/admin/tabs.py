"""Links between the pages of one stream, group, service or event type. Other apps add theirs to the lists here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from core.admin.base import Tab
from streams.models import EventType, Service, Stream
from synapse.auth.permission import PUBLISH, VIEW_PAYLOAD


@dataclass(frozen=True, slots=True)
class PageLink:
    """A tab: its title, the name of its URL, and the permissions that it requires."""

    title: str
    url: str
    permissions: Sequence[str] = ()


# The URLs of these pages take the stream's primary key.
STREAM_PAGES = [
    PageLink("Statistics", "admin:streams_stream_statistics"),
    PageLink("Messages", "admin:streams_stream_messages", (VIEW_PAYLOAD,)),
    PageLink("Groups", "admin:streams_stream_groups"),
    PageLink("Refusals", "admin:streams_stream_refusals"),
    PageLink("Definition", "admin:streams_stream_change"),
]
# The URLs of these pages take the stream's primary key and a group's name.
GROUP_PAGES: list[PageLink] = []
SERVICE_PAGES = [
    PageLink("Definition", "admin:streams_service_change"),
    PageLink("Keys", "admin:streams_service_keys", ("streams.view_key",)),
]
EVENT_TYPE_PAGES = [
    PageLink("Definition", "admin:streams_eventtype_change"),
    PageLink("Publish a test event", "admin:streams_eventtype_publish", ("streams.view_stream", PUBLISH)),
    PageLink("Draft from traffic", "admin:streams_eventtype_draft", ("streams.view_stream", VIEW_PAYLOAD)),
]


@dataclass(frozen=True, slots=True)
class AdditionLink:
    """A page that adds something to a stream: its title, its address (None when the stream cannot have it), the
    permission.
    """

    title: str
    url: Callable[[Stream], str | None]
    permission: str


def _publish_url(stream: Stream) -> str | None:
    event_type = stream.event_types.first()
    return None if event_type is None else reverse("admin:streams_eventtype_publish", args=[event_type.pk])


STREAM_ADDITIONS = [
    AdditionLink("Publish a test event", _publish_url, PUBLISH),
    AdditionLink("Import events", lambda stream: reverse("admin:streams_stream_import", args=[stream.pk]), PUBLISH),
    AdditionLink(
        "Add an event type", lambda stream: add_url("streams_eventtype", stream=stream.pk), "streams.add_eventtype"
    ),
    AdditionLink(
        "Add a publisher", lambda stream: add_url("streams_service", publish=stream.name), "streams.add_service"
    ),
    AdditionLink(
        "Add a reader", lambda stream: add_url("streams_service", subscribe=stream.name), "streams.add_service"
    ),
]


def add_url(model: str, **values: object) -> str:
    """Return the address of the form that adds a row, with initial values."""
    query = f"?{urlencode(values)}" if values else ""
    return f"{reverse(f'admin:{model}_add')}{query}"


def addition_tabs(request: HttpRequest, stream: Stream) -> list[Tab]:
    """Return the pages that add something to a stream and that the person may use."""
    offered = [each for each in STREAM_ADDITIONS if request.user.has_perm(each.permission)]
    return [Tab(title=each.title, url=url) for each in offered if (url := each.url(stream))]


def of_stream(request: HttpRequest, stream: Stream, active: str) -> list[Tab]:
    """Return the tabs of a stream's pages."""
    return _build_tabs(request, STREAM_PAGES, [stream.pk], active)


def of_group(request: HttpRequest, stream: Stream, group: str) -> list[Tab]:
    """Return the pages of a stream's group; none when its name cannot be part of an address."""
    return [] if "/" in group else _build_tabs(request, GROUP_PAGES, [stream.pk, group])


def of_service(request: HttpRequest, service: Service, active: str) -> list[Tab]:
    """Return the tabs of a service's pages."""
    return _build_tabs(request, SERVICE_PAGES, [service.pk], active)


def of_event_type(request: HttpRequest, event_type: EventType, active: str) -> list[Tab]:
    """Return the tabs of an event type's pages."""
    return _build_tabs(request, EVENT_TYPE_PAGES, [event_type.pk], active)


def _build_tabs(
    request: HttpRequest, pages: Iterable[PageLink], arguments: Sequence[object], active: str = ""
) -> list[Tab]:
    return [
        Tab(title=page.title, url=reverse(page.url, args=arguments), active=page.title == active)
        for page in pages
        if request.user.has_perms(page.permissions)
    ]
