"""Rows of the explorer: an event in one line, the values of columns, and the properties that can be columns."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.templatetags.synapse import MOST_JSON, json_text, visible
from synapse.catalog.stream_definitions import Snapshot
from synapse.explorer.paths import MISSING, value_at
from synapse.formats import exact_json

# The number of characters of an event in its row, of those before the found text, and of a column's value.
MOST_OF_EVENT, BEFORE_FOUND, MOST_OF_VALUE = 400, 40, 120
# The number of properties that are offered as columns, and how deep they may be nested.
MOST_PROPERTIES, _DEEPEST = 200, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """An event in one line, split around the text that was searched for."""

    before: str
    found: str
    after: str


def line_of(event: Any, text: str) -> EventLine:
    """Return an event without its type, cut around the text that was searched for."""
    shown = {name: value for name, value in event.items() if name != "event_type"} if isinstance(event, dict) else event
    line = visible(exact_json.dumps(shown).decode())
    place, end = _find_text(line, text)
    if place == end:
        return EventLine(before=_cut_text(line, MOST_OF_EVENT), found="", after="")
    begin = max(0, place - BEFORE_FOUND) if end > MOST_OF_EVENT // 2 else 0
    return EventLine(
        before=("…" if begin else "") + line[begin:place],
        found=line[place:end],
        after=_cut_text(line[end:], MOST_OF_EVENT - (end - begin)),
    )


def _find_text(line: str, text: str) -> tuple[int, int]:
    """Return the begin and end of a text in a line, regardless of case; (0, 0) when it is not found."""
    folded, wanted = line.casefold(), text.casefold()
    place = folded.find(wanted)
    if place < 0:
        return 0, 0
    end = place + len(wanted)
    if len(folded) == len(line):
        return place, end
    # Some characters, such as “ß”, are several in the folded line.
    ends, length = range(len(line) + 1), partial(_length_of_folded, line)
    return bisect_right(ends, place, key=length) - 1, bisect_left(ends, end, key=length)


def _length_of_folded(line: str, end: int) -> int:
    return len(line[:end].casefold())


def row_of(message: Mapping[str, Any], columns: Collection[str], text: str, pks: Mapping[str, int]) -> dict[str, Any]:
    """Return a message as the context of one row."""
    event = message["event"]
    shown = json_text(event)
    return {
        **message,
        "pk": pks.get(message["stream"]),
        "name": f"{message['stream']}/{message['id']}",
        "line": line_of(event, text),
        "values": [(path, value_text(event, path)) for path in columns],
        "json": shown[:MOST_JSON],
        "is_cut": len(shown) > MOST_JSON,
    }


def value_text(event: Any, path: str) -> str:
    """Return the value at a path as text for a column; "" when the event has no such value."""
    found = value_at(event, path.split("."))
    if found is MISSING:
        return ""
    text = found if isinstance(found, str) else exact_json.dumps(found).decode()
    return _cut_text(visible(text), MOST_OF_VALUE)


def declares_property(catalog: Snapshot, streams: Collection[str], name: str) -> bool:
    """Say whether a contract of the streams declares a property with this name."""
    found = (stream for each in streams if (stream := catalog.streams.get(each)) is not None)
    contracts = (each.contract for stream in found for each in stream.event_types.values())
    return any(name in _own_properties(contract.schema.document) for contract in contracts if contract is not None)


def properties_of(catalog: Snapshot, streams: Collection[str], event_type: str) -> dict[str, Mapping[str, Any]]:
    """Return the properties in the contracts of the chosen event types: their schemas by path."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in streams:
        stream = catalog.streams.get(name)
        for each in () if stream is None else stream.event_types.values():
            if each.contract is None or (event_type and each.name != event_type):
                continue
            for path, part in _walk_properties(each.contract.schema.document, "", _DEEPEST):
                found.setdefault(path, part)
                if len(found) == MOST_PROPERTIES:
                    return found
    return found


def _walk_properties(schema: Any, parent: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, part in _own_properties(schema).items() if depth else ():
        if name == "event_type" and not parent:
            continue
        path = f"{parent}{name}"
        inner = list(_walk_properties(part, f"{path}.", depth - 1))
        if not inner:
            yield path, part if isinstance(part, Mapping) else {}
        yield from inner


def _own_properties(schema: Any) -> Mapping[str, Any]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def _cut_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(most, 0)]}…"
