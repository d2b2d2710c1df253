"""Settings of definitions, each declared once with its name, type, default, limits, help and section.

The model's column, the value in the snapshot, the key in a catalog file, the property in the API and the field in the
admin's form follow from the declaration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from synapse.formats import durations
from synapse.formats.text import RULE, is_name, link_complaint

# The section of settings that few need, which forms collapse.
ADVANCED = "Advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A setting of a definition.

    Attributes:
        name: its name in the database, in a catalog file and in the API.
        section: the heading of its section in the admin's form; "" for the first section.
        default: its value when none is given, as the database stores it.
        help: one or two sentences for forms and documents.
    """

    name: str = field(kw_only=False)
    section: str = ""
    default: Any = None
    help: str = ""

    def to_json(self, value: Any) -> Any:
        """Return a value as the API shows it."""
        return value

    def from_json(self, value: Any) -> Any:
        """Return the value that `to_json` converted."""
        return value

    def to_file(self, value: Any) -> Any:
        """Return a value as a catalog file writes it."""
        return value

    def from_file(self, value: Any) -> Any:
        """Return the value that `to_file` converted."""
        return value


def declared_fields(names: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields that a module declares, in order. `names` are the module's globals."""
    return tuple(value for value in names.values() if isinstance(value, Field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Field):
    """A text of any length; empty by default."""

    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Text):
    """A text of one line with at most `most` characters."""

    most: int

    def refusal_of(self, value: str) -> str | None:
        """Return the reason that a text is not valid, None when it is."""
        if len(value) > self.most:
            return f"At most {self.most} characters."
        return None if value.isprintable() else "One line, without control characters."


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Line):
    """The URL of a page."""

    def refusal_of(self, value: str) -> str | None:
        """Return the reason that a URL is not valid, None when it is."""
        # A dataclass with slots is a new class, and `super()` without arguments would look for the original one.
        refusal = Line.refusal_of(self, value)
        if refusal or not value or not (complaint := link_complaint(value)):
            return refusal
        return f"It {complaint}."


_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels(Field):
    """Texts by names: at most `most` of them, each of one line."""

    default: Mapping[str, str] = field(default_factory=dict)
    most: int
    longest_name: int
    longest_text: int

    def refusal_of(self, value: object) -> str | None:
        """Return why a value cannot be taken, None when it can."""
        if not isinstance(value, Mapping) or not all(type(part) is str for pair in value.items() for part in pair):
            return "Texts by names, such as {“team”: “payments”}."
        if len(value) > self.most:
            return f"At most {self.most} labels."
        for name, text in value.items():
            if len(name) > self.longest_name or not _LABEL.fullmatch(name):
                return (
                    f"A label's name has 1 to {self.longest_name} letters, digits, and . _ / -, and begins with a "
                    "letter or _."
                )
            if len(text) > self.longest_text or not text.isprintable():
                return f"The label “{name}” must have one line of at most {self.longest_text} characters."
        return None

    def to_json(self, value: Mapping[str, str]) -> dict[str, str]:
        return dict(value)

    def to_file(self, value: Mapping[str, str]) -> dict[str, str]:
        # Databases do not keep the order of names.
        return dict(sorted(value.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypes(Labels):
    """Event types by the names that other programs have for them: at most `most` of them."""

    def refusal_of(self, value: object) -> str | None:
        """Return why a value cannot be taken, None when it can."""
        if not isinstance(value, Mapping) or not all(type(part) is str for pair in value.items() for part in pair):
            return "Event types by other names, such as {“com.example.order.placed”: “order-placed”}."
        if len(value) > self.most:
            return f"At most {self.most} event types."
        for name, event_type in value.items():
            if not name or len(name) > self.longest_name or not name.isprintable() or name != name.strip():
                return f"The name of a type in CloudEvents has 1 to {self.longest_name} characters on one line."
            if not is_name(event_type):
                return f"“{event_type[:100]}” is no event type: {RULE}."
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """True or false."""

    default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Field):
    """A list of JSON values, empty by default; the module that parses them checks them."""

    default: tuple[()] = ()

    def to_file(self, value: Any) -> list[Any]:
        return list(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names(Field):
    """A list of names: at most `most` of them, with at most `longest` characters each.

    The column's default is a function in the model's module, because migrations refer to it by name.
    """

    default: tuple[str, ...] = ()
    most: int
    longest: int

    def refusal_of(self, value: object) -> str | None:
        """Return why a value cannot be taken, None when it can."""
        if not isinstance(value, list | tuple) or not all(type(name) is str for name in value):
            return "A list of names; an empty one means none."
        if len(value) > self.most:
            return f"At most {self.most} names."
        for place, name in enumerate(value):
            if not name or len(name) > self.longest or not name.isprintable() or name != name.strip():
                return f"A name has 1 to {self.longest} characters on one line."
            if name in value[:place]:
                return f"“{name}” is there twice."
        return None

    def to_json(self, value: Any) -> list[str]:
        return list(value)

    def from_json(self, value: Any) -> tuple[str, ...]:
        return tuple(value)

    def to_file(self, value: Any) -> list[str]:
        return list(value)

    def from_file(self, value: Any) -> tuple[str, ...]:
        return tuple(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Field):
    """One word of several. `choices`: each word with the label that forms show."""

    choices: Mapping[str, str]
    default: str

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.choices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Field):
    """A whole number of `least` or more, up to `most` where that is set. None is allowed where it is the default."""

    least: int = 1
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration(Field):
    """A duration between `least` and `most`; seconds in the API, ISO 8601 in a file. None where it is the default.

    `refusals` are the error texts for a shorter and for a longer duration.
    """

    least: timedelta
    most: timedelta
    refusals: tuple[str, str]

    def refusal_of(self, value: timedelta) -> str | None:
        """Return the reason that a duration is not valid, None when it is."""
        if value < self.least:
            return self.refusals[0]
        return self.refusals[1] if value > self.most else None

    def to_json(self, value: timedelta | None) -> float | None:
        return None if value is None else value.total_seconds()

    def from_json(self, value: float | None) -> timedelta | None:
        return None if value is None else timedelta(seconds=value)

    def to_file(self, value: timedelta | None) -> str | None:
        return None if value is None else durations.text_of(value)

    def from_file(self, value: str | None) -> timedelta | None:
        return None if value is None else durations.parse(value)
