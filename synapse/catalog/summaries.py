"""Summaries of archived events, declared with their stream: how often work completed and failed, and a measure of it.

A summary is a mapping: `{title: Inferences, completed: [inference-complete], failed: [inference-error], by: model_name,
measure: latency_ms, unit: ms}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from synapse.catalog.file import kind_of, nearest, quote
from synapse.formats.text import RULE, is_name

MOST_SUMMARIES, MOST_TYPES = 5, 20
_LONGEST_TITLE, _LONGEST_UNIT = 60, 20
# Limited, because they become paths in the database's JSON functions.
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


class BadSummary(ValueError):
    """A value is not a summary; the message explains it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A summary: events of the types `completed` and `failed` are counted.

    Attributes:
        by: the top-level property by whose values events are grouped; "" for one group of all.
        measure: the numeric top-level property of completed events that is averaged; "" for none.
        unit: the unit of the measure, such as ms.
    """

    title: str
    completed: tuple[str, ...]
    failed: tuple[str, ...] = ()
    by: str = ""
    measure: str = ""
    unit: str = ""


def parse_summaries(values: object) -> tuple[Summary, ...]:
    """Parse a list of mappings as summaries.

    Raises:
        BadSummary: when it is not such a list.
    """
    if not isinstance(values, list | tuple):
        raise BadSummary("A list of summaries; an empty one means none.")
    if len(values) > MOST_SUMMARIES:
        raise BadSummary(f"At most {MOST_SUMMARIES} summaries.")
    return tuple(_parse_summary(place, value) for place, value in enumerate(values))


def _parse_summary(place: int, value: object) -> Summary:
    def refuse(text: str) -> BadSummary:
        return BadSummary(f"Summary {place + 1}: {text}")

    if not isinstance(value, Mapping):
        raise refuse(f"must be a mapping with title and completed, but is {kind_of(value)}.")
    known = [each.name for each in fields(Summary)]
    for name in value:
        if name not in known:
            raise refuse(f"there is no {quote(str(name))} in a summary; {nearest(str(name), known)}")
    for name, longest in (("title", _LONGEST_TITLE), ("unit", _LONGEST_UNIT)):
        text = value.get(name, "")
        if not isinstance(text, str) or len(text) > longest or not text.isprintable():
            raise refuse(f"“{name}” must be text of at most {longest} printable characters.")
    if not value.get("title"):
        raise refuse("“title” is missing.")
    for name in ("by", "measure"):
        if value.get(name, "") and not (isinstance(value[name], str) and _PROPERTY.fullmatch(value[name])):
            raise refuse(f"“{name}” must be the name of a top-level property, of letters, digits, _ and -.")
    types = {name: _event_types(value.get(name, ())) for name in ("completed", "failed")}
    for name, found in types.items():
        if found is None:
            raise refuse(f"“{name}” must be a list of at most {MOST_TYPES} event types; a name has {RULE}.")
    if not types["completed"]:
        raise refuse("“completed” is missing: the event types that say that it ended well.")
    texts: dict[str, Any] = {name: value.get(name) or "" for name in ("title", "by", "measure", "unit")}
    return Summary(**texts, completed=types["completed"] or (), failed=types["failed"] or ())


def _event_types(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple) or len(value) > MOST_TYPES:
        return None
    return tuple(value) if all(isinstance(name, str) and is_name(name) for name in value) else None
