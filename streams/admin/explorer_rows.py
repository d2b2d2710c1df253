"""Rows of the explorer: an event in a line, the values of columns, and the properties that can be columns."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.templatetags.synapse import json_is_cut, json_start, visible
from synapse.catalog.stream_definitions import Snapshot
from synapse.explorer.paths import MISSING, value_at
from synapse.formats import exact_json

# Characters of an event in its row, of which some stand before the text that was looked for; and of a column's value.
MOST_OF_EVENT, BEFORE_FOUND, MOST_OF_VALUE = 400, 40, 120
# Properties that are offered as columns, and how deep in the event they may stand.
MOST_PROPERTIES, _DEEPEST = 200, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """An event in one line: the text that was looked for, and what stands around it."""

    before: str
    found: str
    after: str


def line_of(event: Any, text: str) -> EventLine:
    """Return an event without its type, cut around the text that was looked for."""
    shown = {name: value for name, value in event.items() if name != "event_type"} if isinstance(event, dict) else event
    line = visible(exact_json.dumps(shown).decode())
    place = line.casefold().find(text.casefold()) if text else -1
    if place < 0:
        return EventLine(before=_cut(line, MOST_OF_EVENT), found="", after="")
    begin = max(0, place - BEFORE_FOUND) if place + len(text) > MOST_OF_EVENT // 2 else 0
    end = place + len(text)
    return EventLine(
        before=("…" if begin else "") + line[begin:place],
        found=line[place:end],
        after=_cut(line[end:], MOST_OF_EVENT - (end - begin)),
    )


def row_of(message: Mapping[str, Any], columns: Collection[str], text: str, pks: Mapping[str, int]) -> dict[str, Any]:
    """Return a message as the page shows it."""
    event = message["event"]
    return {
        **message,
        "pk": pks.get(message["stream"]),
        "name": f"{message['stream']}/{message['id']}",
        "line": line_of(event, text),
        "values": [(path, value_text(event, path)) for path in columns],
        "json": json_start(event),
        "is_cut": json_is_cut(event),
    }


def value_text(event: Any, path: str) -> str:
    """Return the value at a path as a column shows it; "" where there is none."""
    found = value_at(event, path.split("."))
    if found is MISSING:
        return ""
    text = found if isinstance(found, str) else exact_json.dumps(found).decode()
    return _cut(visible(text), MOST_OF_VALUE)


def properties_of(catalog: Snapshot, streams: Collection[str], event_type: str) -> dict[str, Mapping[str, Any]]:
    """Return the properties that the contracts of the chosen event types name, each with its part of the schema."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in streams:
        stream = catalog.streams.get(name)
        for each in () if stream is None else stream.event_types.values():
            if each.contract is None or (event_type and each.name != event_type):
                continue
            for path, part in _properties(each.contract.schema.document, "", _DEEPEST):
                found.setdefault(path, part)
                if len(found) == MOST_PROPERTIES:
                    return found
    return found


def _properties(schema: Any, parent: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or not depth:
        return
    for name, part in properties.items():
        if name == "event_type" and not parent:
            continue
        path = f"{parent}{name}"
        inner = list(_properties(part, f"{path}.", depth - 1))
        if not inner:
            yield path, part if isinstance(part, Mapping) else {}
        yield from inner


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(most, 0)]}…"
