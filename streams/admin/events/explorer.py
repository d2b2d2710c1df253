"""The explorer's page: events of one or many streams, merged by time, searched by text, filter, type and time.

`streams.admin.events.explorer_state` reads its address, and `synapse.explorer` searches. Each page reads a bounded part
of the streams, and its link *Continue* leads to the next part.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from math import ceil
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
from streams.admin.events.explorer_rows import declares_property, properties_of, row_of
from streams.admin.events.explorer_state import ANY_TIME, ExplorerState, request_for
from streams.admin.requests import answer_of
from streams.connections import ask_all
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.catalog.stream_definitions import Snapshot
from synapse.explorer.cursor import read_cursor
from synapse.explorer.search import ALL, ids_by_stream, search_events
from synapse.inspection import stream_stats
from synapse.inspection.range_query import parse_moment
from synapse.live.positions import MOST_STREAMS
from synapse.problems import Problem
from synapse.redis import Conversation
from synapse.statistics import series
from synapse.statistics.charts import RANGES, window_of
from synapse.statistics.history import read_history
from synapse.statistics.overview import add_rows
from synapse.wire.ids import iso_of, moment_of_ms

PAGE_SIZE = 25
MOST_BARS = 60
# The number of streams up to which a page adds up the events stored over time.
MOST_COUNTED = 100
# The time range of the counts that people without payload access see, unless they choose one.
_COUNTED_RANGE = "24h"
# Before the path of a property in filters and exports.
_PREFIX = "event."
MOST_EVENT_TYPES = 200
# The number of event types that a page without events offers to publish.
MOST_OFFERED = 5
# The kinds of properties for which filters are suggested, in this order; and the filters suggested without properties.
_KINDS = ("choice", "number", "string", "boolean", "other")
_USUAL_EXAMPLES = ('event.status == "failed"', "event.attempts > 3", "has(event.coupon)")
_TITLES = {
    "15m": "Last 15 minutes",
    "1h": "Last hour",
    "6h": "Last 6 hours",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
}
Bar = Mapping[str, int]


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
        asked["stored"] = _read_stored(chosen, counted, now=int(now))
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
        "fields": _build_form(state, pks, chosen, catalog),
        "may_see": may_see,
        "page": page,
        "refused": refused,
        "errors": _errors_by_field(refused, state),
        "views": saved_views.offer_views(request, query),
        "save": f"{reverse('admin:streams_savedview_add')}?{urlencode({'query': query})}",
        "histogram": _build_histogram(state, found, page),
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


# ---- The form.


def _build_form(
    state: ExplorerState, pks: Mapping[str, int], chosen: Collection[str], catalog: Snapshot
) -> dict[str, Any]:
    """Return the context of the search form: choices, and values in the format of HTML inputs."""
    properties = properties_of(catalog, chosen, state.event_type)
    types = EventType.objects.filter(stream__name__in=chosen) if state.streams else EventType.objects.all()
    names = types.order_by("name").values_list("name", flat=True).distinct()
    return {
        "streams": [{"name": name, "is_chosen": name in state.streams} for name in pks],
        "ranges": [{"name": name, "title": _TITLES[name], "active": name == state.range} for name in RANGES],
        "any_time": ANY_TIME,
        "since": _for_input(state.since, "since"),
        "until": _for_input(state.until, "until"),
        "time": _TITLES.get(state.range) or ("From, until" if state.since or state.until else "Any time"),
        "event_types": names[:MOST_EVENT_TYPES],
        "properties": [{"path": path, "is_chosen": path in state.columns} for path in properties],
        "free": ", ".join(path for path in state.columns if path not in properties),
        "examples": _suggest_filters(state, properties),
    }


def _for_input(text: str, parameter: str) -> str:
    """Return a time of the address in the format of HTML time inputs, in UTC; a text that is no time is returned
    unchanged.
    """
    try:
        found = parse_moment(text, parameter)
    except Problem:
        return text
    at = None if found is None else moment_of_ms(found.first.ms)
    return "" if at is None else (iso_of(at) or "").removesuffix("Z").removesuffix(".000")


def _suggest_filters(state: ExplorerState, properties: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return example filters for the chosen event types, each with the address that applies it."""
    found: dict[str, str] = {}
    for path, schema in properties.items():
        if all(name.isidentifier() and name.isascii() for name in path.split(".")):
            kind, text = _suggest_filter(f"event.{path}", schema)
            found.setdefault(kind, text)
    texts = [found[kind] for kind in _KINDS if kind in found] or list(_USUAL_EXAMPLES)
    return [{"text": text, "url": f"?{state.with_changes(filter=text, next='').query}"} for text in texts]


def _suggest_filter(path: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of a property, one of `_KINDS`, and a filter for it."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and isinstance(choices[0], str) and choices[0].isidentifier():
        return "choice", f'{path} == "{choices[0]}"'
    kind = schema.get("type")
    return {
        "number": ("number", f"{path} > 100"),
        "integer": ("number", f"{path} > 100"),
        "boolean": ("boolean", f"{path} == true"),
        "string": ("string", f'{path}.contains("a")'),
    }.get(kind if isinstance(kind, str) else "", ("other", f"has({path})"))


def _errors_by_field(refused: Problem | None, state: ExplorerState) -> dict[str, Any]:
    """Return the error text by field; an error that belongs to no field has the key `page`."""
    if refused is None:
        return {}
    field = str(refused.members.get("parameter", ""))
    if field not in ("filter", "q", "event_type", "since", "until", "stream"):
        return {"page": refused.detail}
    errors: dict[str, Any] = {field: refused.detail}
    position = refused.members.get("position")
    if field == "filter" and isinstance(position, int):
        at = position - 1
        place = {"before": state.filter[:at], "at": state.filter[at : at + 1] or " ", "after": state.filter[at + 1 :]}
        errors["place"] = place | {"position": position}
    return errors


# ---- Events over time.


def _read_stored(streams: Sequence[str], range_: str, *, now: int) -> Conversation[list[Bar]]:
    """Return the bars of events stored over a time range, from the samples of statistics."""
    window = window_of(range_, now=now)
    history = yield from read_history(
        streams, window.span, series.select(series.PUBLISHED), now=now, instead=window.span.shorter
    )
    span = history.span
    row = add_rows(row for rows in history.streams.values() for row in rows.values())
    together = max(window.together, ceil(len(row) / MOST_BARS))
    step = span.resolution.seconds * 1_000
    return [
        {
            "from": span.begins * 1_000 + at * step,
            "to": span.begins * 1_000 + min(at + together, len(row)) * step,
            "count": sum(value or 0 for value in row[at : at + together]),
        }
        for at in range(0, len(row), together)
    ]


def _build_histogram(
    state: ExplorerState, found: Mapping[str, Any], page: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the chart above the list, or None when it would have no bars."""
    stored = found.get("stored")
    if stored is not None and not isinstance(stored, Problem):
        bars, title = stored, "Events stored"
    elif page is not None:
        bars, title = page["histogram"], "Events found"
    else:
        return None
    if not any(bar["count"] for bar in bars):
        return None
    rows = [
        {**bar, "begin": moment_of_ms(bar["from"]), "url": f"?{_narrow_to_bar(state, bar).query}"}
        for bar in bars
        if bar["count"]
    ]
    return {
        "title": title,
        "from": bars[0]["from"],
        "to": bars[-1]["to"],
        "rows": rows,
        "grows": bars is not stored,
    }


def _narrow_to_bar(state: ExplorerState, bar: Bar) -> ExplorerState:
    return state.with_changes(range="", since=str(bar["from"]), until=str(bar["to"] - 1), next="")


def _count_by_stream(overviews: Any, pks: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the number of events of each stream, for people without payload access."""
    if overviews is None or isinstance(overviews, Problem):
        return []
    return [{"name": name, "pk": pks[name], "overview": overview} for name, overview in overviews.items()]
