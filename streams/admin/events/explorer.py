"""The explorer's page: events of one or many streams, merged by time, found by text, filter, type and time.

`streams.admin.events.explorer_state` reads its address, and `synapse.explorer` searches. Each page reads one bounded
part of the streams: *Continue* is a link to the next one.
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
from streams.admin.events.explorer_rows import declares, properties_of, row_of
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
# Of more streams, what was stored over time is not added up for each page.
MOST_COUNTED = 100
# The range of the numbers for people without payload access who choose no range.
_COUNTED_RANGE = "24h"
# Before the path of a property in filters and exports.
_PREFIX = "event."
MOST_EVENT_TYPES = 200
# Event types that are offered to be published where there is no event yet.
MOST_OFFERED = 5
# The properties of which examples are made, in this order, and the examples without any.
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


def explorer(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the events that the address asks for. Without payload access a person gets only numbers of events."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    given = [(name, text) for name, texts in request.GET.lists() for text in texts]
    state = _with_short_columns(ExplorerState.of(given))
    if sorted(given) != sorted(state.pairs):
        # As a form sends it, with what says nothing: an address to be sent on has none of that.
        return redirect(f"{request.path}{f'?{state.query}' if state.query else ''}")
    now, catalog = time.time(), holder.current()
    pks = dict(Stream.objects.values_list("name", "pk"))
    chosen = [name for name in state.streams if name in pks] if state.streams else list(pks)
    may_see = payload_access.may_see(request)
    asked: dict[str, Conversation[Any]] = {}
    if may_see:
        pairs = state.search(now=now, count=str(PAGE_SIZE))
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
    query = state.but(next="").query
    values = {
        "state": state,
        "fields": _fields(state, pks, chosen, catalog),
        "may_see": may_see,
        "page": page,
        "refused": refused,
        "errors": _errors(refused, state),
        "views": saved_views.offered(request, query),
        "save": f"{reverse('admin:streams_savedview_add')}?{urlencode({'query': query})}",
        "histogram": _histogram(state, found, page),
        "counts": _counts(found.get("overviews"), pks) if not may_see else None,
    }
    if page is not None:
        values |= _shown(request, state, page, pks)
    shown: HttpResponse = admin.show(
        request,
        "streams/admin/explorer.html",
        title="Explorer",
        row=stream,
        tabs=() if stream is None else tabs.of_stream(request, stream, "Messages"),
        **values,
    )
    return shown


def of_stream(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Redirect to the explorer with a stream chosen, and what older addresses asked for."""
    stream = admin.found(request, pk)
    given = request.GET.dict()
    state = ExplorerState.of([("stream", stream.name), *given.items()])
    # Older addresses continued so. The entry itself is shown again, and none is left out.
    state = state.but(
        next="", since=state.since or given.get("after", ""), until=state.until or given.get("before", "")
    )
    return redirect(f"{reverse('admin:streams_stream_explorer')}?{state.query}")


def _shown(
    request: HttpRequest, state: ExplorerState, page: Mapping[str, Any], pks: Mapping[str, int]
) -> dict[str, Any]:
    """Return the rows, how far the search came, and where it continues."""
    at = read_cursor(page["next"], page["next"].partition("~")[0]) if page["next"] else None
    search = urlencode(state.but(next="").search(now=time.time()))
    export = reverse("export_events")
    may_publish = person(request).rights.may("publish", state.streams[0] if state.streams else "")
    values: dict[str, Any] = {
        "rows": [row_of(event, state.columns, state.q, pks) for event in page["events"]],
        "width": 4 + len(state.columns),
        "reached": str(at.id) if at is not None else "",
        "further": f"?{state.but(next=page['next']).query}" if page["next"] else "",
        "begin": f"?{state.but(next='').query}" if state.next else "",
        "exports": [("NDJSON", f"{export}?{search}"), ("CSV", f"{export}?{search}&format=csv{_csv_columns(state)}")],
        "may_publish": may_publish,
    }
    if state.range or state.since or state.until:
        values["any_time"] = f"?{state.but(range='', since='', until='', next='').query}"
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
    """Return a state whose columns are paths within the event, also where they are written as filters and exports write
    them: behind `event.`, unless an event has a property of that name."""
    if not any(path.startswith(_PREFIX) for path in state.columns):
        return state
    catalog = holder.current()
    if declares(catalog, state.streams or catalog.streams, _PREFIX.removesuffix(".")):
        return state
    return state.but(columns=tuple(dict.fromkeys(path.removeprefix(_PREFIX) or path for path in state.columns)))


def _csv_columns(state: ExplorerState) -> str:
    """Return the columns of an exported table: those of the page, where some are chosen."""
    chosen = [f"{_PREFIX}{path}" for path in state.columns if "," not in path]
    return f"&{urlencode({'columns': ','.join(['id', 'stream', 'event_type', *chosen])})}" if chosen else ""


def _is_watchable(state: ExplorerState, pks: Mapping[str, int]) -> bool:
    """Say whether new events of the search can be shown live: of so many streams as one connection watches, newest
    first, up to now."""
    watched = state.streams or tuple(pks)
    if not 0 < len(watched) <= MOST_STREAMS or not pks.keys() >= set(watched):
        return False
    return state.order == "newest" and not (state.until or state.next or state.q)


# ---- The form.


def _fields(state: ExplorerState, pks: Mapping[str, int], chosen: Collection[str], catalog: Snapshot) -> dict[str, Any]:
    """Return the choices of the form, and the values that the address does not hold as inputs do."""
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
        "examples": _examples(state, properties),
    }


def _for_input(text: str, parameter: str) -> str:
    """Return a time of the address as inputs of times hold it, in UTC; a text that is none unchanged."""
    try:
        found = parse_moment(text, parameter)
    except Problem:
        return text
    at = None if found is None else moment_of_ms(found.first.ms)
    return "" if at is None else (iso_of(at) or "").removesuffix("Z").removesuffix(".000")


def _examples(state: ExplorerState, properties: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return filters that fit the chosen event types, each with its address."""
    found: dict[str, str] = {}
    for path, schema in properties.items():
        if all(name.isidentifier() and name.isascii() for name in path.split(".")):
            kind, text = _example(f"event.{path}", schema)
            found.setdefault(kind, text)
    texts = [found[kind] for kind in _KINDS if kind in found] or list(_USUAL_EXAMPLES)
    return [{"text": text, "url": f"?{state.but(filter=text, next='').query}"} for text in texts]


def _example(path: str, schema: Mapping[str, Any]) -> tuple[str, str]:
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


def _errors(refused: Problem | None, state: ExplorerState) -> dict[str, Any]:
    """Return the error text of each field; an error of no field stands above the results."""
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
    """Return how many events were stored over a time range, by the samples of statistics."""
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


def _histogram(state: ExplorerState, found: Mapping[str, Any], page: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the bars of the chart over the list; None where there are none."""
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
        {**bar, "begin": moment_of_ms(bar["from"]), "url": f"?{_between(state, bar).query}"}
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


def _between(state: ExplorerState, bar: Bar) -> ExplorerState:
    return state.but(range="", since=str(bar["from"]), until=str(bar["to"] - 1), next="")


def _counts(overviews: Any, pks: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return how many events each stream has, for people without payload access."""
    if overviews is None or isinstance(overviews, Problem):
        return []
    return [{"name": name, "pk": pks[name], "overview": overview} for name, overview in overviews.items()]
