"""Masking of an event by the marks of its schema, and redaction of texts that quote masked values.

The form of an event stays visible: names, lengths of arrays and nulls, but not the values. A text or a number at a
place that the schema describes as an object or array with PII inside is masked as a whole, since its meaning is
unknown. A text alone does not show which of its words are PII, so the PII values of the event are searched in it.
"""

import html
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from synapse.formats import exact_json
from synapse.formats.text import CUT
from synapse.schema.pii.marks import Marks

MASK = "•••"


def masked(event: Any, marks: Marks) -> Any:
    """Return the event with `MASK` in place of PII; an event without PII is returned unchanged."""
    try:
        return _mask(event, marks)
    except RecursionError:
        return dict.fromkeys(event, MASK) if isinstance(event, dict) else MASK


def holds_mask(value: Any) -> bool:
    """Say whether a value has a `MASK`, at any depth."""
    waiting = [[value]]
    while waiting:
        values = waiting.pop()
        if MASK in values:
            return True
        for each in values:
            if isinstance(each, dict):
                waiting.append(list(each.values()))
            elif isinstance(each, list):
                waiting.append(each)
    return False


def pii_texts(event: Any, marks: Marks) -> frozenset[str]:
    """Return the PII values of an event as texts."""
    found: set[str] = set()
    waiting: list[tuple[Any, Marks]] = [(event, marks)]
    while waiting:
        value, marks = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting += _marked_values(value, marks)
        elif _is_hidden(value, marks):
            found.update(_texts_of(value))
    return frozenset(found)


def _mask(value: Any, marks: Marks) -> Any:
    if not isinstance(value, (dict, list)):
        return MASK if _is_hidden(value, marks) else value
    if not isinstance(value, dict):
        return [_mask(item, below) if (below := _of_item(marks, n)) else item for n, item in enumerate(value)]
    return {name: _mask(each, below) if (below := _of_name(marks, name)) else each for name, each in value.items()}


def _marked_values(value: dict[str, Any] | list[Any], marks: Marks) -> Iterator[tuple[Any, Marks]]:
    named = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in named:
        below = _of_name(marks, name) if isinstance(name, str) else _of_item(marks, name)
        if below is not None:
            yield each, below


def _texts_of(value: Any) -> Iterator[str]:
    """Yield a value as Python and JSON write it."""
    yield str(value)
    if isinstance(value, (bool, float)):
        yield exact_json.dumps(value).decode()


def _is_hidden(value: Any, marks: Marks) -> bool:
    """Say whether a value that is neither an object nor an array is masked at this place."""
    if value is None or isinstance(value, (dict, list)):
        return False
    return marks.is_personal or not isinstance(value, bool)


def _of_name(marks: Marks, name: str) -> Marks | None:
    if marks.is_personal:
        return marks
    # An object at a place where only an array is described: all of it may be meant for the items.
    return marks.of_name(name) if marks.has_names else marks.everything


def _of_item(marks: Marks, number: int) -> Marks | None:
    if marks.is_personal:
        return marks
    return marks.of_item(number) if marks.has_items else marks.everything


# A quotation may be cut: this many characters of the beginning of a value are enough to recognize it.
ENOUGH = 12
# At the very end of a text without a mark of a cut, this many characters of a value's beginning count as a quotation.
ENOUGH_AT_END = 3
# The marks of a cut in a text: Synapse's own, and others.
_CUTS = re.compile(rf"{CUT}+|\.{{3,}}")
# Characters that may follow the end of a quotation.
_CLOSING = " \t\r\n\"'`”»)]}>.,;:!\u2019\u203a"
# When there are more values or more occurrences than this, the text is masked as a whole.
MOST_VALUES, MOST_CUTS = 1000, 50


def redacted(text: str, values: Collection[str]) -> str:
    """Return the text with `MASK` in place of each value, and in place of the beginning of a value where the text was
    cut.

    A value is found literally, in the forms of JSON, Python, a URL and HTML, and regardless of case; a short value only
    as a separate word. The first `ENOUGH` characters of a long value are found anywhere. Any beginning of a value is
    found before a mark of a cut (`…`), and a beginning of `ENOUGH_AT_END` characters at the end of the text.
    """
    if len(values) > MOST_VALUES:
        return MASK
    found = {form.strip() for value in values for form in _forms_of(value)} - {"", MASK}
    forms = sorted(found, key=len, reverse=True)
    by_head: dict[str, list[str]] = {}
    for form in forms:
        by_head.setdefault(form[:ENOUGH].lower(), []).append(form)
    for head, those in by_head.items():
        text = _mask_forms(text, head, those)
    return _mask_beginnings(text, forms)


def _forms_of(value: str) -> Iterator[str]:
    yield value
    yield " ".join(value.split())
    for write in (json.dumps, ascii, repr):
        yield write(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    # The forms in a URL, in a web form and in a page.
    for write_in_address in (quote, quote_plus):
        yield write_in_address(value, errors="replace")
    yield from (quote(value, safe="", errors="replace"), html.escape(value))


def _mask_forms(text: str, head: str, forms: Sequence[str]) -> str:
    """Return the text without the forms that begin with this head, regardless of case."""
    if head not in text.lower():
        return text
    if len(forms[0]) < ENOUGH:
        return re.sub(rf"(?<!\w){re.escape(forms[0])}(?!\w)", MASK, text, flags=re.IGNORECASE)
    kept: list[str] = []
    at = 0
    for found in re.finditer(re.escape(forms[0][:ENOUGH]), text, flags=re.IGNORECASE):
        if found.start() >= at:
            kept += [text[at : found.start()], MASK]
            # The forms may differ after their head: mask the longest one that occurs here.
            at = max(_end_of(form, text, found.end()) for form in forms)
    return "".join([*kept, text[at:]])


def _end_of(form: str, text: str, at: int) -> int:
    """Return the position up to which a text equals a form whose head ends at a position."""
    for character in form[ENOUGH:]:
        if at == len(text) or text[at].lower() != character.lower():
            break
        at += 1
    return at


def _mask_beginnings(text: str, forms: Sequence[str]) -> str:
    """Return the text without the beginnings of forms at the places where the text was cut."""
    small = _lower(text)
    beginnings = [_lower(form) for form in forms]
    ends = {len(text.rstrip(_CLOSING + CUT)): ENOUGH_AT_END}
    ends |= {found.start(): 1 for found in _CUTS.finditer(text)}
    if beginnings and len(ends) > MOST_CUTS:
        return MASK
    # From the end backwards, so that earlier positions stay valid.
    for end, least in sorted(ends.items(), reverse=True):
        found = [at for form in beginnings if (at := _find_beginning(small, end, form, least)) is not None]
        if found:
            text = text[: min(found)] + MASK + text[end:]
            small = _lower(text)
    return text


def _find_beginning(text: str, end: int, form: str, least: int) -> int | None:
    """Return the position from which the text up to `end` is the beginning of the form; None when it is not."""
    head = form[:least]
    at = text.find(head, max(0, end - len(form)), end)
    while at != -1:
        is_word = at == 0 or not (text[at - 1].isalnum() and head[0].isalnum())
        if is_word and form.startswith(text[at:end]):
            return at
        at = text.find(head, at + 1, end)
    return None


def _lower(text: str) -> str:
    """Return the text in lower case, with each character at its position."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in text)
