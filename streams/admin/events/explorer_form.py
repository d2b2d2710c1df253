"""The form of the explorer's page: its choices, values, suggested filters and errors."""

from collections.abc import Collection, Mapping
from typing import Any

from streams.admin.events.explorer_rows import properties_of
from streams.admin.events.explorer_state import ANY_TIME, ExplorerState
from streams.models import EventType
from synapse.catalog.stream_definitions import Snapshot
from synapse.inspection.range_query import parse_moment
from synapse.problems import Problem
from synapse.statistics.charts import RANGES
from synapse.wire.ids import iso_of, moment_of_ms

MOST_EVENT_TYPES = 200
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


def build_form(
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


def errors_by_field(refused: Problem | None, state: ExplorerState) -> dict[str, Any]:
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
