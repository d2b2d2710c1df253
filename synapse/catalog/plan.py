"""What would change: the difference between the definitions that are asked for and those that there are. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

# A definition as JSON values, written as a catalog file writes them.
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One definition that would be created, updated or deleted.

    `kind` and `name` are how audit entries name it. `before` and `after` are JSON values, of an update only those that
    differ; `before` is None for a creation, `after` for a deletion.
    """

    action: Literal["create", "update", "delete"]
    kind: str
    name: str
    before: Values | None = None
    after: Values | None = None


def compare(kind: str, wanted: Mapping[str, Values], current: Mapping[str, Values], *, delete: bool) -> list[Change]:
    """Return the changes that turn the current definitions of a kind into the wanted ones, both by name.

    A value that `wanted` does not state stays as it is. What it does not name is deleted only when `delete` says so.
    """
    changes = []
    for name, after in wanted.items():
        before = current.get(name)
        if before is None:
            changes.append(Change(action="create", kind=kind, name=name, after=after))
        elif keys := [key for key in after if not same(before.get(key), after[key])]:
            old = {key: before.get(key) for key in keys}
            new = {key: after[key] for key in keys}
            changes.append(Change(action="update", kind=kind, name=name, before=old, after=new))
    if delete:
        gone = (name for name in current if name not in wanted)
        changes += [Change(action="delete", kind=kind, name=name, before=current[name]) for name in gone]
    return changes


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same, whatever the order of keys and however a number is written."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        # To Python, true is 1.
        return one is other
    return bool(one == other)
