"""The costs of keywords that concern only the value itself, measured with jsonschema_rs.

The validator's `is_valid` checks a value against a recursive part once, however many paths lead to it, and against
every other part as often as it occurs.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from synapse.formats.strict_json import MAX_STRING
from synapse.schema.cost.guard import BIG_INTEGER, Cost
from synapse.schema.references import list_of, mapping_of
from synapse.schema.regex_safety import matching_width

VALUE_STEPS = 2.0
_NUMBER_BOUND = 100.0
_MULTIPLE = 100.0
_MULTIPLE_OF_FRACTION = 3_500.0
_FORMAT, _FORMAT_CHARACTER = 40.0, 0.5
_FORMAT_OF_OTHER_LETTERS = 4.0
_PATTERN, _PATTERN_CHARACTER, _PATTERN_POSITION = 4.0, 1.0, 2.0
_DEPENDENT = 2.0
_OF_OPTION: dict[type, float] = {str: 2, bool: 2, type(None): 2, int: 40, float: 230}
_OF_CONTAINER = 60.0
DEPENDENTS = ("dependentSchemas", "dependencies")

Steps = tuple[float, float]
"""Steps for a value, and for each of its characters."""


def leaf_cost(node: Mapping[str, Any]) -> Cost:
    """Return the cost of a schema's keywords that concern only the value itself."""
    here, here_text = leaf_steps(node)
    return Cost(here, here_text, 0, 0, here + here_text * MAX_STRING, 0)


def leaf_steps(node: Mapping[str, Any]) -> Steps:
    """Return the steps of the keywords that concern only the value itself."""
    here, here_text = VALUE_STEPS, 0.0
    for word, value in node.items():
        if (reckon := _LEAVES.get(word)) is not None:
            steps, steps_text = reckon(value) if callable(reckon) else reckon
            here += steps
            here_text += steps_text
    return here, here_text


def _options_steps(options: Any) -> Steps:
    if not isinstance(options, list):
        return VALUE_STEPS, 1
    kinds = {type(option) for option in options}
    if kinds <= {str} or (kinds <= {int} and all(abs(option) <= BIG_INTEGER for option in options)):
        # The validator has a table of these options.
        return VALUE_STEPS, 1
    return sum(map(_option_steps, options)), 1


def _option_steps(option: Any) -> float:
    """Return the steps for comparing a value with one option, or with a part of it."""
    if not isinstance(option, (dict, list)):
        return _OF_OPTION[type(option)]
    parts = option.values() if isinstance(option, dict) else option
    return _OF_CONTAINER + sum(max(_OF_CONTAINER, _option_steps(each)) for each in parts)


def _pattern_steps(pattern: Any) -> Steps:
    width = matching_width(pattern) if isinstance(pattern, str) else 0
    return _PATTERN, _PATTERN_CHARACTER + _PATTERN_POSITION * width


@lru_cache(maxsize=1024)
def pattern_steps(pattern: str, length: int) -> float:
    """Return the steps for searching a pattern in a text with this many characters."""
    here, here_text = _pattern_steps(pattern)
    return here + here_text * length


def pattern_cost(pattern: str) -> Cost:
    """Return the cost of searching a pattern in each text."""
    here, here_text = _pattern_steps(pattern)
    return Cost(here=here, here_text=here_text)


def _dependent_steps(value: Any) -> Steps:
    return _DEPENDENT + sum(_DEPENDENT + len(list_of(each)) for each in mapping_of(value).values()), 0


# By keyword: the steps for the value and for each of its characters, or the function that computes them from the
# keyword's value.
_LEAVES: dict[str, Steps | Callable[[Any], Steps]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_NUMBER_BOUND, 0.0)),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), (_FORMAT, _FORMAT_CHARACTER)),
    "format": lambda name: (
        _FORMAT,
        _FORMAT_OF_OTHER_LETTERS if str(name).startswith("idn-") else _FORMAT_CHARACTER,
    ),
    **dict.fromkeys(("type", "minLength", "maxLength", "properties"), (1.0, 0.0)),
    # Each missing name is a separate error.
    "required": lambda names: (1.0 + len(list_of(names)), 0),
    **dict.fromkeys(("dependentRequired", *DEPENDENTS), _dependent_steps),
    "multipleOf": lambda value: (_MULTIPLE if isinstance(value, int) else _MULTIPLE_OF_FRACTION, 0),
    "enum": _options_steps,
    "const": lambda value: _options_steps([value]),
    "pattern": _pattern_steps,
}
