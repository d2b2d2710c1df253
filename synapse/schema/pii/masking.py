"""An event walked along the marks of its schema.

The form stays: names, lengths of arrays and what is null are seen, values are not. A place that the schema takes for an
object or an array with something personal inside, and that is a text or a number, is masked as a whole: nobody knows
what it is.
"""

from collections.abc import Iterator
from typing import Any

from synapse.formats import exact_json
from synapse.schema.pii.marks import Marks

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
