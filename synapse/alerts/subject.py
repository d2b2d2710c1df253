"""Subjects of alerts (a stream, a group or the bridge that reads as it, a key, Redis), and the sentences about them."""

from datetime import UTC, datetime
from typing import NamedTuple

from synapse.alerts.rules import LONGEST, Condition, SubjectKind
from synapse.formats.text import plural

_REDIS = "redis"


class Subject(NamedTuple):
    """One thing that can have an alert.

    Attributes:
        kind: its kind.
        stream: its stream, "" for a key and Redis.
        name: the name of a group, the id of a key.
        of: the bridge that reads as a group, "" without one; the service of a key. Not a part of `id`.
    """

    kind: SubjectKind
    stream: str = ""
    name: str = ""
    of: str = ""

    @property
    def id(self) -> str:
        """The subject as one text, which does not change when a bridge is renamed."""
        match self.kind:
            case "stream":
                return f"stream:{self.stream}"
            case "group":
                return f"group:{self.stream}/{self.name}"
            case "key":
                return f"key:{self.name}"
        return _REDIS

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a pattern of a rule or silence can match."""
        match self.kind:
            case "stream":
                return (self.stream,)
            case "group":
                found = (self.stream, f"{self.stream}/{self.name}")
                return (*found, self.of) if self.of else found
            case "key":
                return (self.of, self.name)
        return (_REDIS,)

    @property
    def parts(self) -> dict[str, str]:
        """The subject's names by kind (`stream`, `group`, `bridge`, `key`, `service`), without empty ones."""
        names = {self.kind: self.name, "stream": self.stream, "bridge" if self.kind == "group" else "service": self.of}
        return {name: text for name, text in names.items() if text}

    @property
    def text(self) -> str:
        """The subject in sentences for people: “bridge orders-to-shop”."""
        match self.kind:
            case "stream":
                return f"stream {self.stream}"
            case "group":
                return f"bridge {self.of}" if self.of else f"group {self.name} of {self.stream}"
            case "key":
                return f"key {self.name} of {self.of}"
        return "Redis"


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def sentence_of(condition: Condition, subject: str, value: float, *, since: float, now: float, detail: str = "") -> str:
    """Return the sentence for people: “bridge orders-to-shop fails: 126 dead letters since 02:14, HTTP 503”.

    Args:
        condition: the condition that holds.
        subject: the subject's text.
        value: the value, in the condition's unit.
        since: when the condition began to hold, in seconds since 1970.
        now: the time, in seconds since 1970.
        detail: further information, such as an error.
    """
    sentence = condition.sentence.format(
        subject=subject, value=value_text(value, condition.unit), since=moment_text(since, now)
    )
    return f"{sentence}{condition.joint}{detail}" if detail else sentence


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
    # Rates can be fractions.
    count = round(value) if value >= 1 else round(value, 1)
    return f"{count:,} {plural(unit, int(count) if count == int(count) else 0)}"


def duration_text(seconds: float) -> str:
    """Return a duration in one unit, rounded: “3 h”."""
    if seconds >= LONGEST:
        return f"{LONGEST // _DAY} days or more"
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def moment_text(at: float, now: float) -> str:
    """Return a time (seconds since 1970) in UTC as hours and minutes, with the date if that is not today."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC).date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M}"
