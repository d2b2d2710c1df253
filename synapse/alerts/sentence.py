"""The sentence that people are told of an alert, and values as text."""

from datetime import UTC, datetime

from synapse.alerts.rules import LONGEST, Condition
from synapse.formats.text import plural

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def sentence_of(condition: Condition, subject: str, value: float, *, since: float, now: float, detail: str = "") -> str:
    """Return what people are told: “bridge orders-to-shop fails: 126 dead letters since 02:14, HTTP 503”.

    Args:
        condition: what holds.
        subject: the text of what has it.
        value: in the condition's unit.
        since: when it began to hold, in seconds since 1970.
        now: the time, in seconds since 1970.
        detail: what more is known, such as an error.
    """
    said = condition.sentence.format(
        subject=subject, value=value_text(value, condition.unit), since=moment_text(since, now)
    )
    return f"{said}{condition.joint}{detail}" if detail else said


def value_text(value: float, unit: str) -> str:
    """Return a value with its unit."""
    match unit:
        case "":
            return f"{value:g}"
        case "percent":
            return f"{value:.0f} %"
        case "days":
            days = max(0, int(value))
            return f"{days} {plural('day', days)}"
        case "seconds":
            return duration_text(value)
    # Rates are no whole numbers.
    count = round(value) if value >= 1 else round(value, 1)
    return f"{count:,} {plural(unit, int(count) if count == int(count) else 0)}"


def duration_text(seconds: float) -> str:
    """Return a duration as people say it, in one unit."""
    if seconds >= LONGEST:
        return f"{LONGEST // _DAY} days or more"
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def moment_text(at: float, now: float) -> str:
    """Return a moment (seconds since 1970) in UTC: the time, with the day where that is not today's."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC).date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"
