"""Form fields for lists and mappings: names as chips, and rows with an input for each part.

Without scripts, a list of names is one text input, and rows are the existing ones and an empty one. `core/forms.js`
adds chips, and buttons that add and remove rows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import INPUT_CLASSES  # type: ignore[import-untyped]

from synapse.formats import exact_json, strict_json


class Chips(forms.TextInput):
    """A text input for names, which `core/forms.js` shows as chips.

    `options_of` is the form field that names a stream; the event types of that stream are offered.
    """

    def __init__(self, *, options_of: str = "") -> None:
        super().__init__(
            {"class": " ".join(INPUT_CLASSES), "autocomplete": "off", "spellcheck": "false", "data-chips": ""}
        )
        if options_of:
            self.attrs["data-options-of"] = options_of

    class Media:
        js = ["core/forms.js"]


class NamesField(forms.CharField):
    """A list of texts, separated by commas or written as a JSON list. `of` converts each item."""

    def __init__(self, *, of: type = str, options_of: str = "", **options: Any) -> None:
        self._of = of
        super().__init__(widget=Chips(options_of=options_of), **options)

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if text.startswith("["):
            try:
                found = strict_json.loads(text.encode("utf-8", "replace"))
            except strict_json.BadJSON as error:
                raise ValidationError(str(error)) from None
            return list(found)
        try:
            return [self._of(name) for name in re.split(r"[,\s]+" if self._of is int else r"\s*,\s*", text) if name]
        except ValueError:
            raise ValidationError("Whole numbers, with commas between them.") from None

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        names = [str(name) for name in value]
        if any("," in name or name != name.strip() or name.startswith("[") for name in names):
            return exact_json.dumps(list(value)).decode()
        return ", ".join(names)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != list(initial or []))
        except ValidationError:
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """An input of each row. With `choices` it is a select; `options` are suggestions while typing."""

    name: str
    label: str
    placeholder: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()


class GivenRows(list[dict[str, str]]):
    """The rows as the browser sent them, in contrast to a stored value."""


class Rows(forms.Widget):
    """Rows with one input for each column, and a button that adds one."""

    template_name = "core/widgets/rows.html"

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.columns = columns

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        given: list[Mapping[str, str]] = [*(value or ()), {}]
        first = context["widget"]["attrs"].get("id", "")
        context["rows"] = [
            [
                {
                    "column": column,
                    "name": f"{name}-{column.name}",
                    "value": row.get(column.name, ""),
                    # The label of the field belongs to its first input.
                    "id": first if place == number == 0 else "",
                }
                for number, column in enumerate(self.columns)
            ]
            for place, row in enumerate(given)
        ]
        context["columns"] = self.columns
        return context

    def format_value(self, value: Any) -> Any:
        return value

    def value_from_datadict(self, data: Any, files: Any, name: str) -> GivenRows:
        lists = [data.getlist(f"{name}-{column.name}") for column in self.columns]
        rows = (
            {column.name: text for column, text in zip(self.columns, texts, strict=True)}
            for texts in zip(*lists, strict=False)
        )
        typed = [column.name for column in self.columns if not column.choices]
        return GivenRows(row for row in rows if any(row[name].strip() for name in typed))

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    class Media:
        js = ["core/forms.js"]


class RowsField(forms.Field):
    """A value that is edited as rows. Subclasses convert between the two."""

    columns: ClassVar[Sequence[Column]] = ()

    def __init__(self, *, columns: Sequence[Column] = (), **options: Any) -> None:
        super().__init__(widget=Rows(columns or self.columns), **options)

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> Any:
        """Convert rows to the value.

        Raises:
            ValidationError: when a row cannot be read.
        """
        raise NotImplementedError

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        """Convert the value to rows."""
        raise NotImplementedError

    def to_python(self, value: Any) -> Any:
        return self.value_of(value or [])

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, GivenRows) else self.rows_of(value) if value else []

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or self.value_of([])))
        except ValidationError:
            return True


class MappingField(RowsField):
    """A mapping of names to values. With `is_json`, a value is parsed as JSON where possible; otherwise values are
    texts.
    """

    def __init__(self, *, is_json: bool = False, options: Sequence[str] = (), **others: Any) -> None:
        self._is_json = is_json
        columns = Column(name="name", label="Name"), Column(name="value", label="Value", options=options)
        super().__init__(columns=columns, **others)

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for row in rows:
            name, text = row["name"].strip(), row["value"].strip()
            if not name:
                raise ValidationError(f"“{text[:100]}” has no name.")
            if name in found:
                raise ValidationError(f"“{name[:100]}” is there twice.")
            found[name] = scalar_of(text) if self._is_json else text
        return found

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        return [
            {"name": name, "value": text_of(each) if self._is_json else str(each)} for name, each in dict(value).items()
        ]


def scalar_of(text: str) -> Any:
    """Return the value of a text that is JSON, otherwise the text itself: `7` is a number, `"7"` and `seven` are
    texts.
    """
    try:
        return strict_json.loads(text.encode("utf-8", "replace"))
    except strict_json.BadJSON:
        return text


def text_of(value: Any) -> str:
    """Return the text that `scalar_of` converts back to the value."""
    if isinstance(value, str) and scalar_of(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
