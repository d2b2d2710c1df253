"""How a bridge is, as the process says that runs it: a value, and its form in Redis. Pure."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import orjson

# `waiting`: for Redis, or for a sink that can take nothing now. `failed`: somebody has to put something right.
State = Literal["starting", "running", "paused", "waiting", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One consumer's word on its bridge. Times are seconds since 1970; counts are those of this run.

    `reason` says why it does not run. `failed` counts attempts, `dead` the events that were given up. `error` is the
    last thing that went wrong with an event, even while it runs.
    """

    state: State
    since: float
    reason: str = ""
    error: str = ""
    last_delivered_at: float | None = None
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    filtered: int = 0
    lost: int = 0


def pack(status: Status) -> bytes:
    """Return a status as text for Redis."""
    return orjson.dumps(asdict(status))


def unpack(words: bytes) -> Status | None:
    """Return the status that was packed, None when these are not our words."""
    try:
        found = orjson.loads(words)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or found.get("state") not in get_args(State):
        return None
    known = {field.name: found[field.name] for field in fields(Status) if field.name in found}
    return Status(**known) if _are_right(known) else None


def _are_right(values: dict[str, Any]) -> bool:
    texts, numbers = ("state", "reason", "error"), ("since", "delivered", "failed", "dead", "filtered", "lost")
    return (
        all(isinstance(values.get(name, ""), str) for name in texts)
        and all(isinstance(values.get(name, 0), int | float) for name in numbers)
        and isinstance(values.get("last_delivered_at"), int | float | None)
        and "since" in values
    )
