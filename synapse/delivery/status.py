"""The status of a bridge as its process reports it: the progress that one thread writes, and its form in Redis."""

import time
from collections.abc import Callable
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


class Progress:
    """Counts since the worker began, and what it does now. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._state: State = "starting"
        self._since = clock()
        self._reason = ""
        self._last_delivered_at: float | None = None
        self.delivered = 0
        self.failed = 0
        self.dead = 0
        self.filtered = 0
        self.lost = 0
        # The last thing that went wrong with an event.
        self.error = ""

    def took(self, count: int) -> None:
        """Note that the sink took so many events."""
        if count:
            self.delivered += count
            self._last_delivered_at = self._clock()

    def failed_at(self, text: str) -> None:
        """Note what went wrong with an event."""
        self.failed += 1
        self.error = text

    def goes_on(self) -> None:
        """Note that nothing keeps it from working."""
        self._turn("running", "")

    def rests(self) -> None:
        """Note that it is paused."""
        self._turn("paused", "")

    def waits_for(self, reason: str, *, broken: bool = False) -> None:
        """Note what keeps it from working; `broken`: somebody has to put it right."""
        self._turn("failed" if broken else "waiting", reason)

    def status(self) -> Status:
        """Return all of it as a value."""
        return Status(
            state=self._state,
            since=self._since,
            reason=self._reason,
            error=self.error,
            last_delivered_at=self._last_delivered_at,
            delivered=self.delivered,
            failed=self.failed,
            dead=self.dead,
            filtered=self.filtered,
            lost=self.lost,
        )

    def _turn(self, state: State, reason: str) -> None:
        if state != self._state:
            self._since = self._clock()
        self._state, self._reason = state, reason
