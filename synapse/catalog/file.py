"""A catalog file being read: its definitions, and all errors in it.

Each app reads its sections through `Item`. An invalid value is recorded with its place, and reading continues, so that
a person sees all errors at once. This module is independent of YAML.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from synapse.catalog.fields import Choice, Count, Duration, Field, Flag, Labels, Line, Names, Rows
from synapse.catalog.plan import Values
from synapse.formats import durations
from synapse.formats.text import RULE, is_name
from synapse.problems import Problem

# Keys and positions from the top of the file: ("streams", 1, "name").
Place = tuple[str | int, ...]
_Type = TypeVar("_Type")
LARGEST_NUMBER = 2**63 - 1
_MOST_LISTED = 20


class BadCatalog(Problem, status=422, slug="bad-catalog", title="The catalog file cannot be used"):
    """The catalog file cannot be used. `problems` lists the errors, one a line."""

    def __init__(self, detail: str, problems: Sequence[str] = ()) -> None:
        super().__init__(detail, problems=list(problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogError:
    """One error in a catalog file. `pointer` is a JSON Pointer into the schema or the example at `place`.

    `line` is set for errors that the YAML reader finds.
    """

    place: Place
    message: str
    pointer: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = " ".join(part for part in (place_text(self.place), self.pointer) if part)
        return f"{where}: {self.message}" if where else self.message


class CatalogFile:
    """The definitions of a catalog file, by kind and name, and the errors in it."""

    def __init__(
        self, document: dict[str, Any], sections: Collection[str], errors: Sequence[CatalogError] = ()
    ) -> None:
        self.errors = list(errors)
        self._wanted: dict[str, dict[str, Values]] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._top = Item(self, (), document)
        self._top.refuse_other_keys(*sections)

    def section(self, name: str) -> list["Item"]:
        """Return the definitions of one section; an empty list when the file does not have it."""
        return self._top.items(name)

    def has_section(self, section: str) -> bool:
        """Say whether the file has the section, even if it is empty: only then may definitions of it be deleted."""
        return self._top.has(section)

    def add(self, kind: str, name: str, values: Values, place: Place) -> bool:
        """Add a definition of the file. Return False when its name is taken, which is an error."""
        first = self._places.setdefault((kind, name), place)
        if first != place:
            self.refuse(place, f"the {kind} “{name}” is already at {place_text(first)}")
            return False
        self._wanted.setdefault(kind, {})[name] = values
        return True

    def definitions_of(self, kind: str) -> Mapping[str, Values]:
        """Return the definitions of a kind by name, with only those values that the file states."""
        return self._wanted.get(kind, {})

    def place_of(self, kind: str, name: str) -> Place:
        """Return the place of a definition in the file."""
        return self._places[kind, name]

    def refuse(self, place: Place, message: str, pointer: str = "") -> None:
        """Record an error."""
        self.errors.append(CatalogError(place=place, message=message, pointer=pointer))


class Item:
    """One mapping of a catalog file. A key without a value (null) counts as absent."""

    def __init__(self, file: CatalogFile, place: Place, values: dict[str, Any]) -> None:
        self.file = file
        self.place = place
        self.values = values

    def refuse_other_keys(self, *keys: str) -> None:
        """Record an error for each other key: it is misspelt, or of another version."""
        for key in self.values:
            if key not in keys:
                self.refuse(key, f"there is no such key; {nearest(key, keys)}")

    def refuse(self, key: str, message: str, pointer: str = "") -> None:
        """Record an error in the value of a key."""
        self.file.refuse((*self.place, key), message, pointer)

    def has(self, key: str) -> bool:
        """Say whether the key has a value."""
        return self.values.get(key) is not None

    def text(self, key: str) -> str | None:
        """Return a text; None when it is absent or not valid."""
        return self._typed_value(key, str, "text")

    def name(self, key: str, *, valid: Callable[[str], bool] = is_name, rule: str = RULE) -> str | None:
        """Return a required name; None when it is absent or not valid."""
        if not self.has(key):
            self.file.refuse(self.place, f"“{key}” is missing")
        text = self.text(key)
        if text is not None and not valid(text):
            self.refuse(key, f"{quote(text)} cannot be used: {rule}")
            return None
        return text

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """Return one of the choices; the default when it is absent or not valid."""
        word = self.text(key)
        if word is None or word in choices:
            return default if word is None else word
        self.refuse(key, f"must be {' or '.join(choices)}, but is {quote(word)}")
        return default

    def setting(self, field: Field) -> Any:
        """Return a declared setting in a file's notation; its default when it is absent or not valid.

        The entries of lists (`Rows`) are not checked.
        """
        default = field.to_file(field.default)
        match field:
            case Choice():
                return self.choice(field.name, field.words, field.default)
            case Count():
                number = self._typed_value(field.name, int, "a whole number")
                most = LARGEST_NUMBER if field.most is None else field.most
                if number is None or field.least <= number <= most:
                    return default if number is None else number
                self.refuse(field.name, f"must be between {field.least} and {most}, but is {number}")
                return default
            case Duration():
                return self._read_duration(field) or default
            case Flag():
                value = self._typed_value(field.name, bool, "true or false")
                return default if value is None else value
            case Line():
                return self._check(field, self.text(field.name)) or default
            case Labels():
                return self._check(field, self.mapping(field.name)) or default
            case Names():
                # An empty list differs from an absent one.
                found = self._check(field, self._typed_value(field.name, list, "a list"))
                return default if found is None else found
            case Rows():
                return self.values[field.name] if self.has(field.name) else default
            case _:
                return self.text(field.name) or default

    def mapping(self, key: str) -> dict[str, Any] | None:
        """Return a mapping unchanged; None when it is absent."""
        return self._typed_value(key, dict, "a mapping")

    def items(self, key: str) -> list["Item"]:
        """Return the mappings of a list; an empty list when it is absent."""
        items = []
        for index, value in enumerate(self._typed_value(key, list, "a list") or []):
            place = (*self.place, key, index)
            if isinstance(value, dict):
                items.append(Item(self.file, place, value))
            else:
                self.file.refuse(place, f"must be a mapping, but is {kind_of(value)}")
        return items

    def _check(self, field: Line | Labels | Names, value: Any) -> Any:
        if value is None or not (refusal := field.refusal_of(value)):
            return value
        self.refuse(field.name, refusal)
        return None

    def _read_duration(self, field: Duration) -> str | None:
        text = self.text(field.name)
        if text is None:
            return None
        try:
            duration = durations.parse(text)
        except ValueError as error:
            self.refuse(field.name, str(error))
            return None
        if refusal := field.refusal_of(duration):
            self.refuse(field.name, refusal)
            return None
        return field.to_file(duration)

    def _typed_value(self, key: str, wanted: type[_Type], what: str) -> _Type | None:
        """Return the value of a key if it has exactly this type (`true` is not an integer); otherwise record an
        error.
        """
        value = self.values.get(key)
        if value is None:
            return None
        if type(value) is wanted:
            return value
        advice = "; put it in quotes" if wanted is str and isinstance(value, (bool, int, float)) else ""
        self.refuse(key, f"must be {what}, but is {kind_of(value)}{advice}")
        return None


def place_text(place: Place) -> str:
    """Return a place as text for people: `streams[1].event_types[0].schema`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{_shorten(part)}" if text else _shorten(part)
    return text


def nearest(name: str, known: Collection[str]) -> str:
    """Return a suggestion for an unknown name: the most similar known name, else all known names."""
    close = get_close_matches(name, known, n=1, cutoff=0.7)
    if close:
        return f"did you mean “{close[0]}”?"
    listed = sorted(known)[:_MOST_LISTED]
    return f"known here: {', '.join(listed)}" if listed else "none is known here"


def kind_of(value: Any) -> str:
    """Return a value's type for an error text, with the value of texts and numbers: “the number 5”."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {quote(value)}"
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "nothing"


def quote(text: str) -> str:
    """Return a text in quotes on one line, cut when it is long."""
    return f"“{_shorten(text)}”"


def _shorten(text: str) -> str:
    line = "".join(character if character.isprintable() else "�" for character in text[:61])
    return line if len(line) <= 60 else line[:60] + "…"
