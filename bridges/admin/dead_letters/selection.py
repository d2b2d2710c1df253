"""The stream, group and dead letters that a request of the admin selects, and the pages of a group."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict

from bridges import dead_letters
from bridges.dead_letters import DeadLetterCriteria, Ids
from bridges.models import Bridge
from core import payload_access
from streams.models import Stream
from synapse.dead_letters import FILTERS, MOST_IDS, is_id, read_criteria
from synapse.errors.delivery import UnknownGroup
from synapse.errors.streams import UnknownStream
from synapse.problems import BadParameter


def dead_letter_stream(admin: Any, request: HttpRequest, pk: int, *, to: str = "view") -> Stream:
    """Return the stream whose dead letters a page shows. This takes payload access, because errors quote payloads.

    Raises:
        Http404, PermissionDenied: as `stream_of` does, and when the person may not see payloads.
    """
    payload_access.check_permission(request)
    return stream_of(admin, request, pk, to=to)


def stream_of(admin: Any, request: HttpRequest, pk: int, *, to: str = "view") -> Stream:
    """Return the stream whose group a page shows.

    Raises:
        Http404: when the stream does not exist.
        PermissionDenied: when the person may not `view` or `change` bridges.
    """
    if not getattr(admin, f"has_{to}_permission")(request):
        raise PermissionDenied
    stream = Stream.objects.filter(pk=pk).first()
    if stream is None:
        raise Http404
    return stream


def check_group(stream: Stream, group: str) -> None:
    """Check that the group exists.

    Raises:
        Http404: when the stream or the group does not exist.
        Problem: when Redis cannot be used.
    """
    try:
        dead_letters.check_group(stream.name, group)
    except (UnknownGroup, UnknownStream):
        raise Http404 from None


def filters_of(query: QueryDict) -> dict[str, str]:
    """Return the filters in a query that are not empty."""
    return {name: text for name in FILTERS if (text := query.get(name, "").strip())}


def read_selection(query: QueryDict) -> Ids | DeadLetterCriteria:
    """Return the selected dead letters: the ticked ones, or those that match the filters.

    Raises:
        BadParameter: when nothing is ticked, or an id or a filter is invalid.
    """
    ids = query.getlist("id")
    if "selected" in query or ids:
        if not ids:
            raise BadParameter("Choose at least one dead letter.", parameter="id")
        if len(ids) > MOST_IDS or not all(map(is_id, ids)):
            raise BadParameter("These are not ids of dead letters.", parameter="id")
        return Ids(tuple(ids))
    return read_criteria(filters_of(query))


def show_page(
    admin: Any, request: HttpRequest, template: str, stream: Stream, group: str, **values: Any
) -> HttpResponse:
    """Render one of the pages about a group's dead letters."""
    title = values.pop("title", f"Dead letters of {group}")
    where = {
        name: admin.page_url(f"dead_letters_{name}", stream.pk, group)
        for name in ("group", "export", "redrive", "discard")
    }
    bridge = Bridge.objects.filter(stream=stream, group=group).first()
    answer: HttpResponse = admin.show(
        request,
        f"bridges/admin/dead_letters/{template}.html",
        title=title,
        stream=stream,
        group=group,
        bridge=bridge,
        where=where,
        may_change=admin.has_change_permission(request),
        **values,
    )
    return answer


def number_in(query: Mapping[str, str], name: str) -> int:
    """Return a number that an earlier page put into the form; 0 when it is missing or was tampered with."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
