"""The explorer's page: events of one or many streams, merged by time, searched by text, filter, type and time.

`streams.admin.events.explorer_state` reads its address, and `synapse.explorer` searches. Each page reads a bounded part
of the streams, and its link *Continue* leads to the next part.
"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from core import payload_access
from core.admin.base import person
from streams.admin import tabs
from streams.admin.events import saved_views
from streams.admin.events.explorer_form import build_form, errors_by_field
from streams.admin.events.explorer_histogram import build_histogram, read_stored
from streams.admin.events.explorer_rows import declares_property, row_of
from streams.admin.events.explorer_state import ExplorerState, request_for
from streams.admin.requests import answer_of
from streams.connections import ask_all
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.explorer.cursor import read_cursor
from synapse.explorer.search import ALL, ids_by_stream, search_events
from synapse.inspection import stream_stats
from synapse.live.positions import MOST_STREAMS
from synapse.problems import Problem
from synapse.redis import Conversation

PAGE_SIZE = 25
# The number of streams up to which a page adds up the events stored over time.
MOST_COUNTED = 100
# The time range of the counts that people without payload access see, unless they choose one.
_COUNTED_RANGE = "24h"
# Before the path of a property in filters and exports.
_PREFIX = "event."
# The number of event types that a page without events offers to publish.
MOST_OFFERED = 5


def show_explorer(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the events that the address selects. People without payload access see only numbers of events."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    given = [(name, text) for name, texts in request.GET.lists() for text in texts]
    state = _with_short_columns(ExplorerState.from_pairs(given))
    if sorted(given) != sorted(state.pairs):
        # A form also sends empty parameters. Redirect to the address without them, which people can share.
        return redirect(f"{request.path}{f'?{state.query}' if state.query else ''}")
    now, catalog = time.time(), holder.current()
    pks = dict(Stream.objects.values_list("name", "pk"))
    chosen = [name for name in state.streams if name in pks] if state.streams else list(pks)
    may_see = payload_access.may_see(request)
    asked: dict[str, Conversation[Any]] = {}
    if may_see:
        pairs = state.api_parameters(now=now, count=str(PAGE_SIZE))
        asked["page"] = search_events(request_for(pairs, principal=person(request)), catalog)
    else:
        asked["overviews"] = stream_stats.overviews_of(chosen[:MOST_COUNTED])
    counted = state.range or ("" if may_see else _COUNTED_RANGE)
    if counted and not (state.is_narrowed and may_see) and len(chosen) <= MOST_COUNTED:
        asked["stored"] = read_stored(chosen, counted, now=int(now))
    found = ask_all(asked)
    answer = answer_of(found["page"]) if may_see else None
    refused = answer if isinstance(answer, Problem) else None
    page = None if refused is not None else answer
    if page is not None:
        payload_access.record_each(person(request), ids_by_stream(page))
    stream = Stream.objects.filter(name=state.streams[0]).first() if len(state.streams) == 1 else None
    query = state.with_changes(next="").query
    values = {
        "state": state,
        "fields": build_form(state, pks, chosen, catalog),
        "may_see": may_see,
        "page": page,
        "refused": refused,
        "errors": errors_by_field(refused, state),
        "views": saved_views.offer_views(request, query),
        "save": f"{reverse('admin:streams_savedview_add')}?{urlencode({'query': query})}",
        "histogram": build_histogram(state, found, page),
        "counts": _count_by_stream(found.get("overviews"), pks) if not may_see else None,
    }
    if page is not None:
        values |= _build_results(request, state, page, pks)
    shown: HttpResponse = admin.show(
        request,
        "streams/admin/explorer.html",
        title="Explorer",
        row=stream,
        tabs=() if stream is None else tabs.of_stream(request, stream, "Messages"),
        **values,
    )
    return shown


def redirect_stream(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Redirect to the explorer with one stream selected, and translate the parameters of older addresses."""
    stream = admin.get_row_or_404(request, pk)
    given = request.GET.dict()
    state = ExplorerState.from_pairs([("stream", stream.name), *given.items()])
    # Older addresses continued with `after` and `before`. The entry that they name is shown again; none is left out.
    state = state.with_changes(
        next="", since=state.since or given.get("after", ""), until=state.until or given.get("before", "")
    )
    return redirect(f"{reverse('admin:streams_stream_explorer')}?{state.query}")


def _build_results(
    request: HttpRequest, state: ExplorerState, page: Mapping[str, Any], pks: Mapping[str, int]
) -> dict[str, Any]:
    """Return the part of the context about the results: rows, how far the search came, and links to continue and
    export.
    """
    at = read_cursor(page["next"], page["next"].partition("~")[0]) if page["next"] else None
    search = urlencode(state.with_changes(next="").api_parameters(now=time.time()))
    export = reverse("export_events")
    may_publish = person(request).rights.may("publish", state.streams[0] if state.streams else "")
    values: dict[str, Any] = {
        "rows": [row_of(event, state.columns, state.q, pks) for event in page["events"]],
        "width": 4 + len(state.columns),
        "reached": str(at.id) if at is not None else "",
        "further": f"?{state.with_changes(next=page['next']).query}" if page["next"] else "",
        "begin": f"?{state.with_changes(next='').query}" if state.next else "",
        "exports": [("NDJSON", f"{export}?{search}"), ("CSV", f"{export}?{search}&format=csv{_csv_columns(state)}")],
        "may_publish": may_publish,
    }
    if state.range or state.since or state.until:
        values["any_time"] = f"?{state.with_changes(range='', since='', until='', next='').query}"
    if may_publish and len(state.streams) == 1 and state.streams[0] in pks:
        values["importing"] = reverse("admin:streams_stream_import", args=[pks[state.streams[0]]])
    if not values["rows"] and may_publish and not state.is_narrowed:
        types = EventType.objects.filter(stream__name__in=state.streams)[:MOST_OFFERED]
        values["publish"] = [(one.name, reverse("admin:streams_eventtype_publish", args=[one.pk])) for one in types]
    if _is_watchable(state, pks):
        live = [("stream", name) for name in state.streams or [ALL]]
        live += [("event_type", state.event_type), ("filter", state.filter)]
        watched = state.streams or pks
        values |= {
            "live": f"{reverse('watch_streams')}?{urlencode([(name, text) for name, text in live if text])}",
            "message_pages": json.dumps(
                {name: reverse("admin:streams_stream_messages", args=[pks[name]]) for name in watched}
            ),
            "watches_many": len(state.streams) != 1,
        }
    return values


def _with_short_columns(state: ExplorerState) -> ExplorerState:
    """Return the state with the prefix `event.`, which filters and exports use, removed from its columns, unless a
    contract declares a property named `event`.
    """
    if not any(path.startswith(_PREFIX) for path in state.columns):
        return state
    catalog = holder.current()
    if declares_property(catalog, state.streams or catalog.streams, _PREFIX.removesuffix(".")):
        return state
    return state.with_changes(
        columns=tuple(dict.fromkeys(path.removeprefix(_PREFIX) or path for path in state.columns))
    )


def _csv_columns(state: ExplorerState) -> str:
    """Return the query parameter for the columns of an exported table, "" when the page has no chosen ones."""
    chosen = [f"{_PREFIX}{path}" for path in state.columns if "," not in path]
    return f"&{urlencode({'columns': ','.join(['id', 'stream', 'event_type', *chosen])})}" if chosen else ""


def _is_watchable(state: ExplorerState, pks: Mapping[str, int]) -> bool:
    """Say whether new events of the search can be shown live: it is ordered newest first, ends now, and has at most as
    many streams as one connection may watch.
    """
    watched = state.streams or tuple(pks)
    if not 0 < len(watched) <= MOST_STREAMS or not pks.keys() >= set(watched):
        return False
    return state.order == "newest" and not (state.until or state.next or state.q)


def _count_by_stream(overviews: Any, pks: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the number of events of each stream, for people without payload access."""
    if overviews is None or isinstance(overviews, Problem):
        return []
    return [{"name": name, "pk": pks[name], "overview": overview} for name, overview in overviews.items()]
