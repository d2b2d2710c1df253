"""How long to wait before an event is tried again, as a person writes it. Pure."""

import re

from synapse.catalog.file import kind_of

MOST_WAITS = 100
LONGEST = 604_800.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TEXT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([smhd])")


class BadWait(ValueError):
    """This is no list of waits; the message says why."""


def read(values: object) -> tuple[float, ...]:
    """Return the waits of a list in seconds: numbers of seconds, or texts such as `30s`, `5m`, `2h` and `1d`.

    Raises:
        BadWait: when it holds anything else, or a wait of more than a week.
    """
    if not isinstance(values, list | tuple):
        raise BadWait("A list of waits, such as [5, “5m”, “2h”]; an empty one means that they double.")
    if len(values) > MOST_WAITS:
        raise BadWait(f"At most {MOST_WAITS} waits.")
    return tuple(map(_seconds, values))


def _seconds(value: object) -> float:
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if found:
        seconds = float(found[1]) * _UNITS[found[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise BadWait(
            f"A wait is a number of seconds, or a text such as 30s, 5m, 2h or 1d, but one is {kind_of(value)}."
        )
    if not 0 <= seconds <= LONGEST:
        raise BadWait("A wait is from nothing to seven days long.")
    return seconds
