"""Texts that may quote what is personal: errors of handlers, answers of webhooks, sentences about broken contracts.

Nobody can tell from a text alone what in it is personal, but who has the event can: its personal values are looked for.
"""

import json
import re
from collections.abc import Collection, Iterator

from contracts.personal.masking import MASK

# A quotation may be cut: from so many characters on, the beginning of a value is enough to be recognised.
ENOUGH = 12
# More than so many are not looked for: the text is masked as a whole.
MOST_VALUES = 1000


def redacted(text: str, values: Collection[str]) -> str:
    """Return the text with `MASK` in place of each of the values, and of the beginnings of long ones.

    A value is found as it is, as JSON or Python would write it, and in capitals or small letters; a short one only
    where it stands as a word of its own.
    """
    if len(values) > MOST_VALUES:
        return MASK
    for form in sorted({form for value in values for form in _forms(value)}, key=len, reverse=True):
        text = _without(text, form)
    return text


def _forms(value: str) -> Iterator[str]:
    yield value
    yield " ".join(value.split())
    for write in (json.dumps, ascii, repr):
        yield write(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]


def _without(text: str, form: str) -> str:
    form = form.strip()
    if not form or form == MASK or form[:ENOUGH].lower() not in text.lower():
        return text
    if len(form) < ENOUGH:
        return re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    kept: list[str] = []
    at = 0
    for found in re.finditer(re.escape(form[:ENOUGH]), text, flags=re.IGNORECASE):
        if found.start() >= at:
            kept += [text[at : found.start()], MASK]
            at = _end(text, found.end(), form)
    return "".join([*kept, text[at:]])


def _end(text: str, at: int, form: str) -> int:
    """Return where the text stops being the value, of which it has the beginning."""
    for character in form[ENOUGH:]:
        if at == len(text) or text[at].lower() != character.lower():
            break
        at += 1
    return at
