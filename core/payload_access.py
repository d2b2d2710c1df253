"""Looks at what events hold: each that a person takes leaves a line in the record.

What programs read is delivered to them, and is no look.
"""

from collections.abc import Sequence
from typing import Any

from core import audit
from synapse.auth.principal import Principal
from synapse.auth.rights import PERSONAL

ACTION = "see payloads"
# The record names so many ids; of more it says how many there were.
MOST_RECORDED = 100


def record(by: Principal, target: str, ids: Sequence[str], *, events: int | None = None, **more: Any) -> None:
    """Record that a person was shown events, by their ids, and not what was in them; nothing when none was.

    `events` is how many there were, where not all are named: a report is made of many.
    """
    if count := len(ids) if events is None else events:
        _write(by, target, {"events": count, "ids": list(ids[:MOST_RECORDED])}, more)


def record_watching(by: Principal, target: str) -> None:
    """Record that a person begins to watch: which events there will be, nobody knows yet."""
    _write(by, target, {"watching": True}, {})


def _write(by: Principal, target: str, seen: dict[str, Any], more: dict[str, Any]) -> None:
    if by.kind == "person":
        audit.record(by, ACTION, target, after={**seen, "personal": by.rights.has(PERSONAL), **more})
