"""The changes that turn the existing definitions into those of a catalog file, and their description as text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from synapse.formats.text import plural

# A definition as JSON values, in the notation of a catalog file.
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One definition that would be created, updated or deleted.

    `kind` and `name` are those of audit records. `before` and `after` are JSON values, for an update only those that
    differ; `before` is None for a creation, `after` for a deletion.
    """

    action: Literal["create", "update", "delete"]
    kind: str
    name: str
    before: Values | None = None
    after: Values | None = None


def compare(kind: str, wanted: Mapping[str, Values], current: Mapping[str, Values], *, delete: bool) -> list[Change]:
    """Return the changes that turn the current definitions of a kind into the wanted ones, both by name.

    A property that is absent in `wanted` stays unchanged. Definitions that are absent are deleted only with `delete`.
    """
    changes = []
    for name, after in wanted.items():
        before = current.get(name)
        if before is None:
            changes.append(Change(action="create", kind=kind, name=name, after=after))
        elif keys := [key for key in after if not is_equal(before.get(key), after[key])]:
            old = {key: before.get(key) for key in keys}
            new = {key: after[key] for key in keys}
            changes.append(Change(action="update", kind=kind, name=name, before=old, after=new))
    if delete:
        gone = (name for name in current if name not in wanted)
        changes += [Change(action="delete", kind=kind, name=name, before=current[name]) for name in gone]
    return changes


def is_equal(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal, regardless of the order of keys and the notation of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        # In Python, True == 1.
        return one is other
    return bool(one == other)


NOTHING = "nothing to change"
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_VERBS = {"create": "created", "update": "updated", "delete": "deleted"}
_LONGEST_VALUE = 100
_MOST_LINES = 40


def difference_lines(changes: Sequence[Change]) -> Iterator[str]:
    """Yield lines that show each change: `+` created, `~` updated with the old and the new values, `-` deleted."""
    for change in changes:
        yield f"{_SIGNS[change.action]} {change.kind} {change.name}"
        if change.action == "update":
            for key, after in (change.after or {}).items():
                yield from _field_lines(key, (change.before or {}).get(key), after)


def summary_line(changes: Sequence[Change], *, done: bool) -> str:
    """Return the number of changes by action and kind, as one line. `done`: the changes were made."""
    if not changes:
        return NOTHING
    parts = []
    for action, verb in _VERBS.items():
        if counts := Counter(change.kind for change in changes if change.action == action):
            counted = ", ".join(f"{count} {plural(kind, count)}" for kind, count in counts.items())
            parts.append(f"{verb if done else f'to be {verb}'}: {counted}")
    return "; ".join(parts)


def _field_lines(key: str, before: Any, after: Any) -> Iterator[str]:
    if not isinstance(before, (dict, list)) and not isinstance(after, (dict, list)):
        yield f"    {key}: {_value_text(before)} -> {_value_text(after)}"
        return
    yield f"    {key}:"
    old, new = dict(_flatten(before, "")), dict(_flatten(after, ""))
    lines = []
    for pointer in sorted(old.keys() | new.keys()):
        if pointer in old and pointer in new and is_equal(old[pointer], new[pointer]):
            continue
        lines += [
            f"      {sign} {pointer or '/'}: {_value_text(side[pointer])}"
            for sign, side in (("-", old), ("+", new))
            if pointer in side
        ]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"      … and {len(lines) - _MOST_LINES} more lines"


def _flatten(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a JSON value with their JSON Pointers; a list of plain values is a leaf."""
    if isinstance(value, dict) and value:
        children: Any = value.items()
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        children = enumerate(value)
    else:
        yield pointer, value
        return
    for key, child in children:
        yield from _flatten(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def _value_text(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) and _is_word(value) else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _is_word(text: str) -> bool:
    return (
        text.isprintable() and " " not in text and text not in ("", "none", "true", "false") and not text[0].isdigit()
    )
