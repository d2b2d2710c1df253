"""The difference between a catalog file and the database, as a person reads it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from synapse.catalog.plan import Change, same

NOTHING = "nothing to change"
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_VERBS = {"create": "created", "update": "updated", "delete": "deleted"}
_LONGEST_VALUE = 100
_MOST_LINES = 40


def difference(changes: Sequence[Change]) -> Iterator[str]:
    """Give the lines that show each change: `+` created, `~` updated with what was and what will be, `-` deleted."""
    for change in changes:
        yield f"{_SIGNS[change.action]} {change.kind} {change.name}"
        if change.action == "update":
            for key, after in (change.after or {}).items():
                yield from _field(key, (change.before or {}).get(key), after)


def summary(changes: Sequence[Change], *, done: bool) -> str:
    """Return the numbers in one line."""
    if not changes:
        return NOTHING
    parts = []
    for action, verb in _VERBS.items():
        if counts := Counter(change.kind for change in changes if change.action == action):
            counted = ", ".join(_counted(count, kind) for kind, count in counts.items())
            parts.append(f"{verb if done else f'to be {verb}'}: {counted}")
    return "; ".join(parts)


def _field(key: str, before: Any, after: Any) -> Iterator[str]:
    if not isinstance(before, (dict, list)) and not isinstance(after, (dict, list)):
        yield f"    {key}: {_value(before)} -> {_value(after)}"
        return
    yield f"    {key}:"
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    lines = []
    for pointer in sorted(old.keys() | new.keys()):
        if pointer in old and pointer in new and same(old[pointer], new[pointer]):
            continue
        lines += [
            f"      {sign} {pointer or '/'}: {_value(side[pointer])}"
            for sign, side in (("-", old), ("+", new))
            if pointer in side
        ]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"      … and {len(lines) - _MOST_LINES} more lines"


def _flat(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Give the leaves of a JSON value by their JSON Pointers; a list of plain values is a leaf."""
    if isinstance(value, dict) and value:
        children: Any = value.items()
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        children = enumerate(value)
    else:
        yield pointer, value
        return
    for key, child in children:
        yield from _flat(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) and _is_word(value) else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _is_word(text: str) -> bool:
    return (
        text.isprintable() and " " not in text and text not in ("", "none", "true", "false") and not text[0].isdigit()
    )


def _counted(count: int, kind: str) -> str:
    return f"{count} {kind}{'' if count == 1 else 's'}"
