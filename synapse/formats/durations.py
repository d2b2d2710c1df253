"""Durations in ISO 8601 as text, such as `P7D` and `PT1H30M`, and rates such as `100/s`.

Years and months are not read, because their length depends on the calendar.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

_DURATION = re.compile(
    r"P(?!$)(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?!$)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9})(?:[.,](?P<fraction>\d{1,6}))?S)?)?",
    re.ASCII,
)


def parse(text: str) -> timedelta:
    """Parse a duration.

    Raises:
        ValueError: when it is not a duration, or longer than a `timedelta` can hold; the message is for people.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a duration is written as P7D (seven days) or PT1H30M (an hour and a half)")
    parts = found.groupdict(default="0")
    microseconds = int(parts.pop("fraction").ljust(6, "0"))
    try:
        return timedelta(**{unit: int(digits) for unit, digits in parts.items()}, microseconds=microseconds)
    except OverflowError:
        raise ValueError("the duration is too long") from None


def text_of(duration: timedelta) -> str:
    """Return the text of a duration, which must not be negative: the inverse of `parse`."""
    hours, seconds = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    date = f"{duration.days}D" if duration.days else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    time += f"{seconds}{fraction}S" if seconds or fraction else ""
    return f"P{date}" + (f"T{time}" if time else "") if date or time else "PT0S"


_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])")


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: `count` in `seconds`. All may be used at once; then they become available again one by one,
    evenly.
    """

    count: int
    seconds: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.count}/{unit}"


def parse_rate(text: str) -> Rate:
    """Parse a rate such as `100/s`, `6000/m` or `10000/h`.

    Raises:
        ValueError: when it is not a rate.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError("a rate such as 100/s, 6000/m or 10000/h")
    return Rate(int(found[1]), _SECONDS[found[2]])
