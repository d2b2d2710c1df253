"""The states of an alert: ok, pending, firing, resolved. The caller passes the time and the measurements.

An alert is pending until its condition has held for long enough, then it fires. It is resolved when the condition has
been false for `CLEAR_SECONDS`, so that a flapping condition does not fire each time. When a condition could not be
measured, the caller does not call this module, and the alert stays unchanged.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import orjson

from synapse.alerts.rules import Rule

# The time for which a condition has to be false before an alert is resolved.
CLEAR_SECONDS = 60
Phase = Literal["pending", "firing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """The state of an alert that is not ok. Times are seconds since 1970.

    Attributes:
        phase: `pending` or `firing`.
        since: when the rule's condition began to hold.
        value: the latest value at which the condition held.
        detail: details about `value` for people.
        said: the sentence about `value` for people.
        of: the bridge or service of the alert's subject (`Subject.of`).
        fired_at: when the alert began to fire.
        cleared_at: when the condition stopped holding, None while it holds.
        is_untold: whether the alert fires without a notification, because it was silenced.
    """

    phase: Phase
    since: float
    value: float
    detail: str = ""
    said: str = ""
    of: str = ""
    fired_at: float | None = None
    cleared_at: float | None = None
    is_untold: bool = False


def advance(
    state: AlertState | None, rule: Rule, *, value: float | None, now: float, after_gap: bool = False
) -> AlertState | None:
    """Return the next state of an alert; None: ok (resolved, if it fired).

    Args:
        state: the alert's state now, None: ok.
        rule: the alert's rule.
        value: the measured value, None when the condition does not hold.
        now: the time, in seconds since 1970.
        after_gap: whether waiting begins again, because nothing was evaluated for long, or the clock was set back.
    """
    if value is None:
        if state is None or state.phase == "pending":
            return None
        if state.cleared_at is None or after_gap or state.cleared_at > now:
            return replace(state, cleared_at=now)
        return None if now - state.cleared_at >= CLEAR_SECONDS else state
    if state is None:
        state = AlertState(phase="pending", since=now, value=value)
    elif state.phase == "pending" and (after_gap or state.since > now):
        state = replace(state, since=now)
    state = replace(state, value=value, cleared_at=None)
    if state.phase == "pending" and now - state.since >= rule.for_seconds:
        return replace(state, phase="firing", fired_at=now)
    return state


def pack(state: AlertState | None) -> bytes:
    """Return a state as text for Redis; b"" for None."""
    return b"" if state is None else orjson.dumps(asdict(state))


_TYPES: dict[str, Any] = {
    "phase": str,
    "since": int | float,
    "value": int | float,
    "detail": str,
    "said": str,
    "of": str,
    "fired_at": int | float | None,
    "cleared_at": int | float | None,
    "is_untold": bool,
}


def unpack(text: bytes) -> AlertState | None:
    """Return the state that `pack` made a text of, None for a text in another format."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or found.keys() != _TYPES.keys() or found["phase"] not in ("pending", "firing"):
        return None
    return AlertState(**found) if all(isinstance(found[name], kind) for name, kind in _TYPES.items()) else None


def count_states(texts: Mapping[str, bytes]) -> Counter[tuple[str, str]]:
    """Return the number of alerts by rule and phase, from the packed states by alert name."""
    found = ((name.partition(" ")[0], unpack(text)) for name, text in texts.items())
    return Counter((rule, each.phase) for rule, each in found if each is not None)
