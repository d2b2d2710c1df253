"""What the texts of an event mean to its contract, where the types of its properties alone do not say it.

Other programs write fields of text. `42` can be a number or a string: which of the two can depend on another property
(`if`, alternatives told apart by a `const`), on a pattern, or on the name (`patternProperties`). So readings are tried,
and the validator is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Protocol

from synapse.schema.cost import QUICK_STEPS
from synapse.schema.explanation import Finding, OutOfBudget

MOST_TRIES = 8
"""So many readings of one event are tried at the most, beside the first."""

# The values that a text may stand for, each as a list of one; an empty list stands for no value.
Readings = Sequence[Sequence[Any]]


class TextSchema(Protocol):
    """A contract, as far as readings of texts are tried on it."""

    def accepts_at_once(self, event: Any, length: float = inf) -> bool | None:
        """Say whether the event keeps the contract; None when finding out could take more than `QUICK_STEPS`.

        `length` is how many bytes of JSON the event is at the most: one that is short need not be measured.
        """

    def findings(self, event: Any, *, steps: float | None = None) -> list[Finding]:
        """Return the same without its sentences, for those who look at many events and need few of them.

        Raises:
            OutOfBudget: when that takes more than `steps`; without, it is found out as far as it can be.
        """


def accepted_reading(
    schema: TextSchema, event: dict[str, Any], others: Callable[[], Mapping[str, Readings]]
) -> dict[str, Any]:
    """Return the event as the contract accepts it, else as it came.

    Each try gives the properties that the contract finds wrong their next reading; where it names none, all of them.

    Args:
        schema: the contract.
        event: the event in its first reading, which the types of its properties decide.
        others: gives by property what else its text may stand for, the likeliest first.
    """
    if schema.accepts_at_once(event) is not False:
        return event
    tried = event
    left = {name: list(readings) for name, readings in others().items()}
    for _ in range(MOST_TRIES):
        try:
            wrong = _named_by(schema.findings(tried, steps=QUICK_STEPS))
        except OutOfBudget:
            return event
        names = [name for name, readings in left.items() if readings and (not wrong or name in wrong)]
        if not names:
            return event
        tried = dict(tried)
        for name in names:
            reading = left[name].pop(0)
            if reading:
                tried[name] = reading[0]
            else:
                tried.pop(name, None)
        accepted = schema.accepts_at_once(tried)
        if accepted is not False:
            return tried if accepted else event
    return event


def _named_by(findings: Sequence[Finding]) -> set[str]:
    """Return the properties that are wrong; none where the event as a whole is."""
    found = {str(each.path[0]) if each.path else each.missing for each in findings}
    return found - {""}
