"""Form field for JSON: an editor with line numbers and colours, and errors that name their line."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget  # type: ignore[import-untyped]

from synapse.formats import exact_json, strict_json

_TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def line_of(text: str, pointer: str) -> int | None:
    """Return the line, from 1, of the value at a JSON Pointer (RFC 6901); for an object's member, the line of its name.

    When the value is missing, return the line of the nearest enclosing one. None when the text is not JSON.
    """
    wanted = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    try:
        place = _find_value(_iterate_tokens(text), wanted)
    except (StopIteration, ValueError):
        return None
    return text.count("\n", 0, place) + 1


def _find_value(tokens: Iterator[tuple[int, str]], wanted: list[str]) -> int:
    """Return the offset of the value, or of its member's name, walking down the parts of the pointer."""
    place, word = next(tokens)
    best = place
    for part in wanted:
        if word not in ("{", "["):
            return best
        found = _enter_child(tokens, word, part)
        if found is None:
            return best
        best, word = found
    return best


def _enter_child(tokens: Iterator[tuple[int, str]], opening: str, part: str) -> tuple[int, str] | None:
    """Enter the child value of one pointer part. Return its offset (for a member: that of its name) and its first
    token.
    """
    index = 0
    while True:
        place, word = next(tokens)
        if word in "}]":
            return None
        if word in ",":
            continue
        name = str(index)
        start = place
        if opening == "{":
            name = json.loads(word, strict=False)
            if not isinstance(name, str) or next(tokens)[1] != ":":
                raise ValueError("a name and a colon expected")
            _, word = next(tokens)
        if name == part:
            return start, word
        _skip_value(tokens, word)
        index += 1


def _skip_value(tokens: Iterator[tuple[int, str]], word: str) -> None:
    depth = word in ("{", "[")
    left = int(depth)
    while left:
        _, word = next(tokens)
        left += (word in ("{", "[")) - (word in ("}", "]"))


def _iterate_tokens(text: str) -> Iterator[tuple[int, str]]:
    position = 0
    while match := _TOKEN.match(text, position):
        yield match.start(1), match[1]
        position = match.end()


# How errors of synapse.formats.strict_json name the position.
_LINE = re.compile(r"\(line (\d+), column \d+\)")


class JsonEditor(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """A text area that `json-editor.js` turns into an editor. It also works without scripts."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"rows": 18, "spellcheck": "false", "data-json-editor": "", **(attrs or {})})

    class Media:
        js = ["core/json-editor.js"]


class JsonText(forms.CharField):
    """A JSON text, kept as written except that line ends become LF, because browsers send CRLF."""

    widget = JsonEditor

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value) or "").replace("\r\n", "\n")

    def parsed(self, text: str) -> Any:
        """Parse the text.

        Raises:
            ValidationError: when `synapse.formats.strict_json` does not accept it.
        """
        try:
            data = text.encode()
            value = strict_json.loads(data)
            strict_json.check_size(value, len(data))
        except UnicodeEncodeError:
            raise ValidationError("The text is not Unicode: it holds half a character.") from None
        except strict_json.BadJSON as error:
            if line := line_in(str(error)):
                self.widget.attrs["data-error-lines"] = str(line)
            raise ValidationError(str(error)) from None
        return value


class JsonValue(JsonText):
    """A JSON text for a column that holds the value: an empty text is None, and a value is shown indented."""

    empty_values = ["", None]

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return self.parsed(text) if text.strip() else None

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return exact_json.dumps(value, option=orjson.OPT_INDENT_2).decode()

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except ValidationError:
            return True


def refuse(form: forms.BaseForm, field: str, text: str, mistakes: Iterable[tuple[str, str]]) -> None:
    """Add errors in a JSON text, pairs of a JSON Pointer and a sentence, to a field of the form.

    Each error names its line and its pointer, and the editor marks the lines.
    """
    lines = []
    for pointer, sentence in mistakes:
        line = line_of(text, pointer) if pointer else None
        where = f"Line {line}, {pointer}: " if line else ""
        form.add_error(field, f"{where}{sentence}")
        lines.append(line or line_in(sentence))
    mark(form, field, lines)


def mark(form: forms.BaseForm, field: str, lines: Iterable[int | None]) -> None:
    """Mark lines in the editor. None, for an error of the whole text, is skipped."""
    form.fields[field].widget.attrs["data-error-lines"] = ",".join(str(line) for line in lines if line)


def line_in(sentence: str) -> int | None:
    """Return the line number that an error message of `synapse.formats.strict_json` names, None if it names none."""
    found = _LINE.search(sentence)
    return int(found[1]) if found else None
