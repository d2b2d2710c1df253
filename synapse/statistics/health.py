"""The health of a stream, a group or a bridge, in the words that every page uses."""

from typing import Literal

Health = Literal["healthy", "degraded", "failing", "paused", "stopped"]


def health_of(*, stopped: bool = False, paused: bool = False, fails: bool = False, degraded: bool = False) -> Health:
    """Return the word for the state of health: that of the first true argument.

    Args:
        stopped: whether a person disabled it, or no process runs it.
        paused: whether a person paused it.
        fails: whether events are refused, lost or fail to be delivered now, or a person has to repair something.
        degraded: whether it works, but is late, waits, or left something for a person to decide.
    """
    if stopped:
        return "stopped"
    if paused:
        return "paused"
    if fails:
        return "failing"
    return "degraded" if degraded else "healthy"
