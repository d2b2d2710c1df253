"""Settings of definitions, each declared once: name, type, default, limits, help, and where it appears.

The model's column, the value in the snapshot, the key in a catalog file, the property in the API and the place in the
admin's form follow from the declaration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from synapse.formats import durations

# The heading below which stands what few need: forms fold it away.
ADVANCED = "Advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A setting of a definition.

    Attributes:
        name: its name in the database, in a catalog file and in the API.
        section: the heading in the admin's form below which it stands; "" for the first part.
        default: its value when nothing is said, as the database has it.
        help: one or two sentences for forms and documents.
    """

    name: str
    section: str = ""
    default: Any = None
    help: str = ""

    def to_json(self, value: Any) -> Any:
        """Return a value as the API shows it."""
        return value

    def from_json(self, value: Any) -> Any:
        """Return the value of which `to_json` made this one."""
        return value

    def to_file(self, value: Any) -> Any:
        """Return a value as a catalog file writes it."""
        return value

    def from_file(self, value: Any) -> Any:
        """Return the value of which `to_file` made this one."""
        return value


def declared(names: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields that a module declares, in their order."""
    return tuple(value for value in names.values() if isinstance(value, Field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Field):
    """A text of any length; empty by default."""

    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """True or false."""

    default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Field):
    """A list of JSON values, empty by default; their form is checked where they are read."""

    default: tuple[()] = ()

    def to_file(self, value: Any) -> list[Any]:
        return list(value)


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

    `refusals`: what is said of a shorter and of a longer one.
    """

    least: timedelta
    most: timedelta
    refusals: tuple[str, str]

    def refusal_of(self, value: timedelta) -> str | None:
        """Return why a duration cannot be taken, None when it can."""
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
