"""Expressions that would run for long, recurse or take much memory, and an event that is made for them.

`python -m benchmarks.filters` measures how long they take.
"""

from functools import cache
from typing import Any

from synapse.filters.filter import MACROS


@cache
def large_event() -> dict[str, Any]:
    """Return the event."""
    deep: Any = None
    for _ in range(20_000):
        deep = [deep]
    return {
        "numbers": list(range(100_000)),
        "doubles": [number / 7 for number in range(100_000)],
        "texts": [f"tag {number}" for number in range(60_000)],
        "objects": [{"sku": "A-1", "amount": number} for number in range(30_000)],
        "lists": [[number] for number in range(100_000)],
        "names": {f"name {number}": number for number in range(60_000)},
        "text": "ab" * 500_000,
        "digits": "9" * 1_000_000,
        "deep": deep,
    }


HOSTILE = [
    *(f"event.numbers.{macro}(x, x == 1)" for macro in sorted(MACROS)),
    "event.numbers.all(x, event.numbers.all(y, event.numbers.all(z, x + y + z >= 0)))",
    "event.numbers . all (x, true)",
    "event.numbers.exists(event, event == 1)",
    "event.numbers.reduce(a, b, 0, a + b) == 1",
    "event.numbers.sortBy(x, x)[0] == 1",
    "event.numbers.transformList(i, x, x) == []",
    "event.numbers.sort() == []",
    "cel.bind(x, event.text, x + x) == 'a'",
    '"a".replace("a", "b") == "b"',
    '"%s".format([event.text]) == "a"',
    "event.text.split('') == []",
    "math.greatest(event.numbers) == 1",
    "sets.contains(event.numbers, [1])",
    "optional.of(event).hasValue()",
    "dyn(event) == event",
    "type(event) == type(event)",
    'bytes(event.text) == b"a"',
    "(" * 499 + ")" * 499,
    "(" * 200 + "event.a == 1" + ")" * 200,
    "!" * 1000,
    "!" * 60 + "true",
    "-" * 60 + "1",
    "- " * 400 + "1 == 1",
    "[" * 400 + "]" * 400,
    "{1:" * 300 + "1" + "}" * 300,
    "event" + ".a" * 400,
    "event" + "[0]" * 300,
    "true ? " * 140 + "1",
    "true?1:" * 140 + "1",
    "||".join(["event.a"] * 100),
    "+".join(["event.text"] * 90),
    "+".join(["event.text"] * 12) + ' == "a"',
    "+".join(["event.numbers"] * 12) + " == []",
    "size(" * 15 + "event.text" + ")" * 15 + " == 1",
    "string(event.digits) + string(event.digits) == event.digits",
    "int(event.digits) == 1",
    "double(event.digits) > 1.0",
    'timestamp(event.digits) > timestamp("9999-12-31T23:59:59Z") + duration("999999999h")',
    'duration(event.digits) == duration("999999999999999999h")',
    "9223372036854775807 * 9223372036854775807 > 0",
    "(0 - 9223372036854775807 - 1) / -1 == 0",
    "1" * 990 + " == 1",
    "event.n == 1e999999",
    'event.text.matches("(a+)+$")',
    'event.text.matches("(a|a)*c")',
    'event.text.matches("(a|b|ab)*c")',
    'event.text.matches("(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x")',
    'event.text.matches("[ab]*a[ab]{90}[cd]")',
    'event.text.matches("[ab]*a[ab]{900}[cd]")',
    'event.text.matches("((a{1,100}){1,100}){1,100}")',
    'event.text.matches("\\\\w{9000}")',
    'event.text.matches("^(?=a)")',
    'event.text.matches("(a)\\\\1")',
    " || ".join([f'event.text.matches("[ab]*a[ab]{{{n}}}[cd]")' for n in range(7)]),
    " && ".join(['event.text.contains("zz") == false'] * 7),
    "event.text.contains(event.text + event.text)",
    "event == event",
    "event in [event]",
    "event.objects == event.objects",
    "event.lists == event.numbers",
    "[99999] in event.lists",
    "event.doubles == event.doubles",
    '"tag 59999" in event.texts',
    '"name 59999" in event.names',
    "event.names == event.names",
    "event.deep == event.deep",
    "event.deep[0][0][0] == event.deep",
    "event.objects[event.numbers[5]].amount == 5",
    "event.numbers[event.numbers[event.numbers[event.numbers[5]]]] == 5",
    "\x00",
    "event.a == '\ud800'",
    "event" + "\u202e" + ".a == 1",
    "event.a == 1" + " " * 1000,
    "__proto__.a == 1",
    "event{a: 1} == 1",
    ".event.a == 1",
    "event.?a.orValue(1) == 1",
    "event[?0] == 1",
    '"""a""" == event.a',
    'event.a == "" ""',
    'event.a == r"\\" || event.numbers.all(x, true) || r"\\" == event.a',
]
