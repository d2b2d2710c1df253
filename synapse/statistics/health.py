"""How well a stream, a group or a bridge is, in the words that every page uses."""

from typing import Literal

Health = Literal["healthy", "degraded", "failing", "paused", "stopped"]


def health_of(*, stopped: bool = False, paused: bool = False, fails: bool = False, degraded: bool = False) -> Health:
    """Return the word for the state of health: the first that holds, in the order of the arguments.

    Args:
        stopped: a person disabled it, or no process runs it.
        paused: a person paused it.
        fails: events are refused, lost or fail to be delivered now, or a person has to mend something.
        degraded: it works, and is late, waits, or left something for a person to decide.
    """
    if stopped:
        return "stopped"
    if paused:
        return "paused"
    if fails:
        return "failing"
    return "degraded" if degraded else "healthy"
