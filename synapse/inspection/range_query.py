"""Which part of a stream is asked for: from the parameters of a request to a range of entry ids."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from synapse.http.exchange import Request
from synapse.inspection.scan import Order
from synapse.problems import BadParameter, BadRequest
from synapse.wire.ids import (
    FIRST,
    LAST,
    MOST,
    NOTHING,
    EntryId,
    Range,
    following,
    preceding,
)

_ID = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_parameters(request: Request, *known: str, repeatable: Collection[str] = ()) -> None:
    """Refuse a query with a parameter that the route has not, or with one that is given twice.

    The answer would look like one to the question that was meant. Names that begin with “_” mean nothing: clients add
    them to get around caches.

    Args:
        known: the route's parameters.
        repeatable: those of them that can be given several times.

    Raises:
        BadParameter: when there is one.
    """
    if not request.raw_query:
        return
    seen = set()
    for name, _ in parse_qsl(request.raw_query, keep_blank_values=True):
        if name.startswith("_"):
            continue
        if name not in known:
            listed = f"Known are {', '.join(known)}." if known else "This route takes none."
            raise BadParameter(f"There is no parameter “{name[:100]}” here. {listed}", parameter=name[:100])
        if name in seen and name not in repeatable:
            raise BadParameter(f"“{name}” is given more than once. Send it once.", parameter=name)
        seen.add(name)


def asked_range(query: Mapping[str, str]) -> Range:
    """Return the range that `since` and `until` (included), `after` and `before` (left out) agree on.

    Each is an entry id, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC). A time means its
    whole millisecond.

    Raises:
        BadParameter: when one of them is none of these.
    """
    first, last = FIRST, LAST
    if since := _bounds(query, "since"):
        first = since.first
    if until := _bounds(query, "until"):
        last = until.last
    if after := _bounds(query, "after"):
        if after.last == LAST:
            return NOTHING
        first = max(first, following(after.last))
    if before := _bounds(query, "before"):
        if before.first == FIRST:
            return NOTHING
        last = min(last, preceding(before.first))
    return Range(first=first, last=last)


def asked_order(query: Mapping[str, str]) -> Order:
    """Return `order`: the newest entries first, unless asked otherwise.

    Raises:
        BadParameter: when it is another word.
    """
    match query.get("order") or "newest":
        case "newest":
            return "newest"
        case "oldest":
            return "oldest"
    raise BadParameter("“order” is newest or oldest.", parameter="order")


def asked_count(query: Mapping[str, str], *, most: int, otherwise: int) -> int:
    """Return `count`, from 1 to `most`.

    Raises:
        BadParameter: when it is not such a number.
    """
    text = query.get("count") or str(otherwise)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise BadParameter(f"“count” is a whole number from 1 to {most}.", parameter="count")
    return int(text)


def asked_id(text: str) -> EntryId:
    """Return the entry id that a path names.

    Raises:
        BadRequest: when it is no whole id.
    """
    found = parse_id(text)
    if found is None or "-" not in text:
        raise BadRequest("An entry id is two numbers, such as 1705314600000-0.", parameter="id")
    return found.first


def _bounds(query: Mapping[str, str], parameter: str) -> Range | None:
    """Return the ids that a parameter's value means: one, or those of a whole millisecond."""
    text = query.get(parameter, "").strip()
    if not text:
        return None
    found = parse_id(text) or _parse_time(text)
    if found is None:
        raise BadParameter(
            f"“{parameter}” is an entry id, milliseconds since 1970, or a time such as 2024-01-15T10:30:00Z.",
            parameter=parameter,
        )
    return found


def parse_id(text: str) -> Range | None:
    """Return the id that a text is, or those of a whole millisecond; None when it is neither."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    ms, sequence = int(match[1]), match[2]
    if ms > MOST or (sequence and int(sequence) > MOST):
        return None
    if sequence is None:
        return _millisecond(ms)
    return Range(first=EntryId(ms, int(sequence)), last=EntryId(ms, int(sequence)))


def asked_moment(text: str) -> int | None:
    """Return the moment that a text is, in milliseconds since 1970; None when it is none."""
    found = parse_id(text) or _parse_time(text)
    return found.first.ms if found else None


def _parse_time(text: str) -> Range | None:
    if "T" in text:
        # An offset's plus that nobody escaped arrives as a space.
        text = text.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_1970 = moment - _EPOCH
    ms = since_1970.days * 86_400_000 + since_1970.seconds * 1000 + since_1970.microseconds // 1000
    return _millisecond(max(ms, 0))


def _millisecond(ms: int) -> Range:
    return Range(first=EntryId(ms, 0), last=EntryId(ms, MOST))
