"""Parse selections of dead letters from queries and forms, and the cursor where an action continues."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse.dead_letters.dead_letter import DeadLetterCriteria, is_id
from synapse.formats.exact_json import is_number
from synapse.inspection.range_query import asked_range
from synapse.problems import BadParameter

FILTERS = ("event_type", "fingerprint", "since", "until")
MOST_IDS = 1000
SLOWEST, FASTEST = 0.1, 10_000.0
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")


def read_criteria(query: Mapping[str, str]) -> DeadLetterCriteria:
    """Return what `event_type`, `fingerprint`, `since` and `until` ask for; an empty one counts as not given.

    Raises:
        BadParameter: when one of them cannot be used.
    """
    given = {name: query.get(name, "").strip() for name in FILTERS}
    if given["fingerprint"] and not _FINGERPRINT.fullmatch(given["fingerprint"]):
        raise BadParameter("“fingerprint” is twelve hexadecimal digits.", parameter="fingerprint")
    span = asked_range({name: given[name] for name in ("since", "until")})
    return DeadLetterCriteria(
        event_type=given["event_type"],
        fingerprint=given["fingerprint"],
        since_ms=span.first.ms if given["since"] else None,
        until_ms=span.last.ms if given["until"] else None,
    )


def read_rate(value: Any) -> float | None:
    """Return how many a second, None for any number.

    Raises:
        BadParameter: when it is no number from 0.1 to 10,000.
    """
    if value is None:
        return None
    if not is_number(value, SLOWEST, FASTEST):
        raise BadParameter("“rate” is how many a second: a number from 0.1 to 10000.", parameter="rate")
    return float(value)


_TEXT = re.compile(r"([0-9-]+)(?:~([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    """`past` is an id, "" at the beginning. `due_ms` (since 1970): until then all is given to others."""

    past: str = ""
    due_ms: int = 0

    def __str__(self) -> str:
        return f"{self.past}~{self.due_ms}" if self.due_ms else self.past


def read_cursor(text: str) -> Cursor:
    """Return the cursor that a text is; "" is the beginning.

    Raises:
        BadParameter: when an earlier answer cannot have given it.
    """
    if not text:
        return Cursor()
    found = _TEXT.fullmatch(text)
    if found is None or not is_id(found[1]):
        raise BadParameter("“cursor” is what the answer before gave as its cursor.", parameter="cursor")
    return Cursor(found[1], int(found[2] or 0))
