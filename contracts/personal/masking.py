"""An event walked along the marks of its schema.

The form stays: names, lengths of arrays and what is null are seen, values are not. A place that the schema takes for an
object or an array with something personal inside, and that is a text or a number, is masked as a whole: nobody knows
what it is.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from contracts.personal.marks import Marks

MASK = "•••"


def masked(event: Any, marks: Marks) -> Any:
    """Return the event with `MASK` in place of what is personal; what has nothing of it comes back as it was."""
    try:
        return _masked(event, marks)
    except RecursionError:
        return dict.fromkeys(event, MASK) if isinstance(event, dict) else MASK


def personal_texts(event: Any, marks: Marks) -> frozenset[str]:
    """Return what is personal in an event, value by value, as texts."""
    found: set[str] = set()
    waiting: list[tuple[Any, Marks]] = [(event, marks)]
    while waiting:
        value, marks = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting += _below(value, marks)
        elif _is_hidden(value, marks):
            found.update(_texts(value))
    return frozenset(found)


def restored(event: Any, original: Any, marks: Marks) -> Any:
    """Return the event with what the original has at each personal place where the event says `MASK`.

    Only what was masked there comes back, and only to its own place.
    """
    if event == MASK and _is_hidden(original, marks):
        return original
    if isinstance(event, dict) and isinstance(original, dict):
        return {
            name: restored(value, original[name], below)
            if name in original and (below := _of_name(marks, name)) is not None
            else value
            for name, value in event.items()
        }
    if isinstance(event, list) and isinstance(original, list):
        return [
            restored(value, original[number], below)
            if number < len(original) and (below := _of_item(marks, number)) is not None
            else value
            for number, value in enumerate(event)
        ]
    return event


def says_mask(event: Any) -> bool:
    """Say whether `MASK` stands anywhere in the event."""
    waiting = [event]
    while waiting:
        value = waiting.pop()
        if value == MASK:
            return True
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return False


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
        yield orjson.dumps(value).decode()


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
