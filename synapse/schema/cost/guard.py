"""The cost of a schema as a value, its limits, and the guard that bounds the cost of one event before the event is
checked.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from synapse.formats import exact_json
from synapse.formats.strict_json import MAX_NODES

MAX_STEPS = 20_000_000
"""The limit for checking one event: some 0.2 seconds."""
LOOP_STEPS = 500_000
"""The limit for checking an event, or explaining its refusal, on the event loop: some 5 milliseconds. More is
done in a child process (`synapse.sandbox`)."""
QUICK_STEPS = 100_000
"""Events up to this limit, some millisecond, are checked at once: before anything else has its turn."""
MAX_CHARACTERS = 256 * 1024
# Integers beyond the range of a double have equal hashes, so that each is compared with all others.
BIG_INTEGER = 2**53
_SHORTEST_BIG = 17


class Cost(NamedTuple):
    """The cost of checking with a schema.

    Attributes:
        here: steps for the value to which the schema is applied.
        here_text: steps for each character of that value, if it is a text, or of its names.
        below: steps for the most costly value inside that value.
        below_text: steps for each character of that inner value.
        total: all steps, when the schema is applied once to the largest value.
        unique: the number of ways in which the items of one array are compared with each other, without a limit on
            their number.
    """

    here: float = 0
    here_text: float = 0
    below: float = 0
    below_text: float = 0
    total: float = 0
    unique: float = 0

    def __add__(self, other: "Cost") -> "Cost":  # type: ignore[override]
        here, here_text, below, below_text, total, unique = self
        return Cost(
            here + other.here,
            here_text + other.here_text,
            below + other.below,
            below_text + other.below_text,
            total + other.total,
            unique + other.unique,
        )

    def of_each(self, count: float) -> "Cost":
        """Return the cost of applying the schema to at most this many values."""
        return self._replace(total=self.total * count)

    def of_event(self, nodes: float, characters: float, big_numbers: float) -> float:
        """Return the steps for an event with this many values, characters, and integers beyond 2^53."""
        a_value, a_character = max(self.here, self.below), max(self.here_text, self.below_text)
        by_values = nodes * a_value + characters * a_character
        return min(by_values, self.total) + self.unique * big_numbers * big_numbers / 2

    @property
    def of_largest(self) -> float:
        """The steps for the largest event that is accepted."""
        return self.of_event(MAX_NODES, MAX_CHARACTERS, MAX_CHARACTERS / _SHORTEST_BIG)


@dataclass(frozen=True, slots=True)
class Guard:
    """Estimates the cost of events for a schema against which the largest events cannot be checked at once."""

    cost: Cost
    # The size of events in bytes up to which they are checked at once, with any content.
    quick_length: int

    @classmethod
    def of(cls, cost: Cost) -> "Guard | None":
        """Return the guard of a schema with this cost, None when even the largest events are checked at once."""
        if cost.of_largest <= QUICK_STEPS:
            return None
        longer = bisect_right(
            range(MAX_CHARACTERS),
            float(QUICK_STEPS),
            # A value takes at least two bytes.
            key=lambda length: cost.of_event(length / 2, length, length / _SHORTEST_BIG),
        )
        return cls(cost, longer - 1)

    def steps(self, event: Any) -> float:
        """Return an upper bound of the steps for checking the event, 0 when the event is short enough for any check."""
        try:
            # Not with `exact_json.dumps`, which is slower: this runs for each event.
            if len(orjson.dumps(event, default=exact_json.written)) <= self.quick_length:
                return 0
        except orjson.JSONEncodeError:
            pass  # another program's event may be nested deeper than JSON can be written
        return self.cost.of_event(*measure_event(event))


def measure_event(event: Any) -> tuple[int, int, int]:
    """Return the numbers of values, of characters (those of names included), and of integers beyond 2^53 in an
    event.
    """
    nodes = characters = big = 0
    waiting = [event]
    while waiting:
        value = waiting.pop()
        nodes += 1
        if isinstance(value, dict):
            characters += sum(map(len, value))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            characters += len(value)
        elif isinstance(value, int) and abs(value) > BIG_INTEGER:
            big += 1
    return nodes, characters, big


def copying_cost(event: Any) -> float:
    """Return the cost of copying each value of an event with everything below it, in values; a character costs
    1/100.
    """
    total = 0.0
    waiting = [(event, 1)]
    while waiting:
        value, depth = waiting.pop()
        total += depth
        if isinstance(value, dict):
            total += depth * sum(map(len, value)) / 100
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
        elif isinstance(value, str):
            total += depth * len(value) / 100
    return total


def length_of(value: Any) -> int:
    """Return the number of values in a value, itself included."""
    return measure_event(value)[0]
