"""Durations as text, in ISO 8601: `P7D` is seven days, `PT1H30M` an hour and a half.

Years and months are not read, because their length depends on the calendar.
"""

import re
from datetime import timedelta

_FORM = re.compile(
    r"P(?!$)(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?!$)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9})(?:[.,](?P<fraction>\d{1,6}))?S)?)?",
    re.ASCII,
)


def parse(text: str) -> timedelta:
    """Return the duration that a text says.

    Raises:
        ValueError: when it is not written so, or is longer than a `timedelta` can hold; the message is a sentence.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("a duration is written as P7D (seven days) or PT1H30M (an hour and a half)")
    parts = found.groupdict(default="0")
    microseconds = int(parts.pop("fraction").ljust(6, "0"))
    try:
        return timedelta(**{unit: int(digits) for unit, digits in parts.items()}, microseconds=microseconds)
    except OverflowError:
        raise ValueError("the duration is too long") from None


def text_of(duration: timedelta) -> str:
    """Return the text of a duration that is not negative, in the units that it needs: `parse` reads it back."""
    hours, seconds = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    date = f"{duration.days}D" if duration.days else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    time += f"{seconds}{fraction}S" if seconds or fraction else ""
    return f"P{date}" + (f"T{time}" if time else "") if date or time else "PT0S"
