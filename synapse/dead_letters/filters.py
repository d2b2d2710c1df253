"""Parse selections of dead letters from queries, forms and bodies, and the cursor where an action continues."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse.dead_letters.dead_letter import Ids, Wanted, is_id
from synapse.formats.numbers import is_number
from synapse.inspection.range_query import asked_range
from synapse.problems import BadParameter

FILTERS = ("event_type", "fingerprint", "since", "until")
MOST_IDS = 1000
SLOWEST, FASTEST = 0.1, 10_000.0
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")


def wanted(query: Mapping[str, str]) -> Wanted:
    """Return what `event_type`, `fingerprint`, `since` and `until` ask for; an empty one counts as not given.

    Raises:
        BadParameter: when one of them cannot be used.
    """
    given = {name: query.get(name, "").strip() for name in FILTERS}
    if given["fingerprint"] and not _FINGERPRINT.fullmatch(given["fingerprint"]):
        raise BadParameter("“fingerprint” is twelve hexadecimal digits.", parameter="fingerprint")
    span = asked_range({name: given[name] for name in ("since", "until")})
    return Wanted(
        event_type=given["event_type"],
        fingerprint=given["fingerprint"],
        since_ms=span.first.ms if given["since"] else None,
        until_ms=span.last.ms if given["until"] else None,
    )


def meant(body: Mapping[str, Any]) -> Ids | Wanted:
    """Return what `ids`, `filter` or `all` of a request's body ask for: exactly one of them.

    Raises:
        BadParameter: when it is none or several of them, or cannot be used.
    """
    given = [name for name in ("ids", "filter", "all") if body.get(name) is not None]
    if len(given) != 1:
        raise BadParameter("Say which: one of “ids”, “filter” and “all”.", parameter=given[0] if given else "ids")
    match given[0], body[given[0]]:
        case "ids", list(ids):
            return _ids(ids)
        case "filter", dict(values) if values:
            return _filter(values)
        case "all", True:
            return Wanted()
    kind = {"ids": "a list of ids", "filter": "an object that names something", "all": "true"}[given[0]]
    raise BadParameter(f"“{given[0]}” is {kind}.", parameter=given[0])


def rate(value: Any) -> float | None:
    """Return how many a second, None for any number.

    Raises:
        BadParameter: when it is no number from 0.1 to 10,000.
    """
    if value is None:
        return None
    if not is_number(value, SLOWEST, FASTEST):
        raise BadParameter("“rate” is how many a second: a number from 0.1 to 10000.", parameter="rate")
    return float(value)


def _ids(ids: list[Any]) -> Ids:
    if not 1 <= len(ids) <= MOST_IDS or not all(isinstance(id_, str) and is_id(id_) for id_ in ids):
        raise BadParameter(f"“ids” are 1 to {MOST_IDS} ids of dead letters, such as 1766570400000-0.", parameter="ids")
    return Ids(tuple(ids))


def _filter(values: dict[str, Any]) -> Wanted:
    for name, value in values.items():
        if name not in FILTERS:
            raise BadParameter(f"“filter” has {', '.join(FILTERS)}; not “{name[:100]}”.", parameter="filter")
        if not isinstance(value, str) or not value.strip():
            raise BadParameter(f"“{name}” of the filter is a text that is not empty.", parameter=name)
    return wanted(values)


_TEXT = re.compile(r"([0-9-]+)(?:~([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    """`past` is an id, "" at the beginning. `due_ms` (since 1970): until then all is given to others."""

    past: str = ""
    due_ms: int = 0

    def __str__(self) -> str:
        return f"{self.past}~{self.due_ms}" if self.due_ms else self.past


def read(text: str) -> Cursor:
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
