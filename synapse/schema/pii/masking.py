"""Mask an event along the marks of its schema, and redact texts that quote masked values.

The form stays: names, lengths of arrays and nulls are seen, values are not. A place that the schema takes for an object
or an array with PII inside, and that is a text or a number, is masked as a whole, since its meaning is unknown. A text
alone does not show which of its words are PII; with the event, its PII values are searched for.
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
        return _masked(event, marks)
    except RecursionError:
        return dict.fromkeys(event, MASK) if isinstance(event, dict) else MASK


def holds_mask(value: Any) -> bool:
    """Say whether a `MASK` stands in place of a value, at any depth."""
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
            waiting += _below(value, marks)
        elif _is_hidden(value, marks):
            found.update(_texts(value))
    return frozenset(found)


def _masked(value: Any, marks: Marks) -> Any:
    if not isinstance(value, (dict, list)):
        return MASK if _is_hidden(value, marks) else value
    if not isinstance(value, dict):
        return [_masked(item, below) if (below := _of_item(marks, n)) else item for n, item in enumerate(value)]
    return {name: _masked(each, below) if (below := _of_name(marks, name)) else each for name, each in value.items()}


def _below(value: dict[str, Any] | list[Any], marks: Marks) -> Iterator[tuple[Any, Marks]]:
    named = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in named:
        below = _of_name(marks, name) if isinstance(name, str) else _of_item(marks, name)
        if below is not None:
            yield each, below


def _texts(value: Any) -> Iterator[str]:
    """Give a value as Python and JSON write it."""
    yield str(value)
    if isinstance(value, (bool, float)):
        yield exact_json.dumps(value).decode()


def _is_hidden(value: Any, marks: Marks) -> bool:
    """Say whether a value that is no object and no array is masked at this place."""
    if value is None or isinstance(value, (dict, list)):
        return False
    return marks.is_personal or not isinstance(value, bool)


def _of_name(marks: Marks, name: str) -> Marks | None:
    if marks.is_personal:
        return marks
    # An object where only an array is described: all of it may be what the items should have been.
    return marks.of_name(name) if marks.has_names else marks.everything


def _of_item(marks: Marks, number: int) -> Marks | None:
    if marks.is_personal:
        return marks
    return marks.of_item(number) if marks.has_items else marks.everything


# A quotation may be cut: from this many characters on, the beginning of a value is enough to be recognised.
ENOUGH = 12
# Where the text does not say that it was cut: this much of a value's beginning, at its very end, is taken for one.
ENOUGH_AT_END = 3
# Where a text says that it was cut: as we do, and as others might.
_CUTS = re.compile(rf"{CUT}+|\.{{3,}}")
# Characters that may stand behind the end of a quotation.
_CLOSING = " \t\r\n\"'`”»)]}>.,;:!\u2019\u203a"
# More than this many are not looked for, and not in more places: the text is masked as a whole.
MOST_VALUES, MOST_CUTS = 1000, 50


def redacted(text: str, values: Collection[str]) -> str:
    """Return the text with `MASK` in place of each of the values, and of their beginnings where the text was cut.

    A value is found as it is, as JSON, Python, an address or HTML would write it, and in capitals or small letters; a
    short one only where it stands as a word of its own. Of a long one its first `ENOUGH` characters are found
    anywhere; of each, any beginning before a mark of a cut (`…`), and one of `ENOUGH_AT_END` characters at the end of
    the text.
    """
    if len(values) > MOST_VALUES:
        return MASK
    found = {form.strip() for value in values for form in _forms(value)} - {"", MASK}
    forms = sorted(found, key=len, reverse=True)
    by_head: dict[str, list[str]] = {}
    for form in forms:
        by_head.setdefault(form[:ENOUGH].lower(), []).append(form)
    for head, those in by_head.items():
        text = _without(text, head, those)
    return _without_beginnings(text, forms)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield " ".join(value.split())
    for write in (json.dumps, ascii, repr):
        yield write(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    # As it stands in an address, in a form and in a page.
    for write_in_address in (quote, quote_plus):
        yield write_in_address(value, errors="replace")
    yield from (quote(value, safe="", errors="replace"), html.escape(value))


def _without(text: str, head: str, forms: Sequence[str]) -> str:
    """Return the text without the forms that begin with this head, in capitals or small letters."""
    if head not in text.lower():
        return text
    if len(forms[0]) < ENOUGH:
        return re.sub(rf"(?<!\w){re.escape(forms[0])}(?!\w)", MASK, text, flags=re.IGNORECASE)
    kept: list[str] = []
    at = 0
    for found in re.finditer(re.escape(forms[0][:ENOUGH]), text, flags=re.IGNORECASE):
        if found.start() >= at:
            kept += [text[at : found.start()], MASK]
            # The forms may differ behind their head: the longest one is stored there.
            at = max(_end_of(form, text, found.end()) for form in forms)
    return "".join([*kept, text[at:]])


def _end_of(form: str, text: str, at: int) -> int:
    """Return where a text stops being a form whose head ends at a place."""
    for character in form[ENOUGH:]:
        if at == len(text) or text[at].lower() != character.lower():
            break
        at += 1
    return at


def _without_beginnings(text: str, forms: Sequence[str]) -> str:
    """Return the text without the beginnings of the forms that stand where it was cut."""
    small = _small(text)
    beginnings = [_small(form) for form in forms]
    ends = {len(text.rstrip(_CLOSING + CUT)): ENOUGH_AT_END}
    ends |= {found.start(): 1 for found in _CUTS.finditer(text)}
    if beginnings and len(ends) > MOST_CUTS:
        return MASK
    # From the end, so that the places before stay where they are.
    for end, least in sorted(ends.items(), reverse=True):
        found = [at for form in beginnings if (at := _begin(small, end, form, least)) is not None]
        if found:
            text = text[: min(found)] + MASK + text[end:]
            small = _small(text)
    return text


def _begin(text: str, end: int, form: str, least: int) -> int | None:
    """Return from where on the text, up to `end`, is the beginning of the form; None when it is not."""
    head = form[:least]
    at = text.find(head, max(0, end - len(form)), end)
    while at != -1:
        is_word = at == 0 or not (text[at - 1].isalnum() and head[0].isalnum())
        if is_word and form.startswith(text[at:end]):
            return at
        at = text.find(head, at + 1, end)
    return None


def _small(text: str) -> str:
    """Return the text in small letters, each in its place."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(lower if len(lower := character.lower()) == 1 else character for character in text)
