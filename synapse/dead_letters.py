"""Dead letters, filters and results of actions as values, and the fingerprint that groups their errors.

A fingerprint is the error's text without the parts that differ from event to event. The status of an HTTP answer
stays: events that a receiver cannot take (500) and events that met an outage (503) are handled apart.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from synapse.filters import EventFilter, compile_filter
from synapse.formats.exact_json import is_number
from synapse.formats.text import cut
from synapse.inspection.range_query import parse_range
from synapse.problems import BadParameter
from synapse.redis.commands.dead_letters import Attempt, Replayed
from synapse.tracing.context import TRACEPARENT, trace_id_in
from synapse.wire.ids import time_of
from synapse.wire.masking import Mask

_MOST_CHARACTERS = 300
_QUOTED = re.compile(r"“([^”]*)”|\"([^\"]*)\"|`([^`]*)`|(?<!\w)'([^']*)'(?!\w)")
# UUIDs, ids of entries, digests and the like: eight characters or more that hold a digit.
_ID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b\d+-\d+\b|\b(?=\w*\d)[\w]{8,}\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

_STATUS = r"(?P<status>[1-5]\d\d)(?![\w.]*\d)"
_PHRASES = "|".join(f"{status.value} {re.escape(status.phrase)}" for status in HTTPStatus)
# Signs that a number is an HTTP status: its reason phrase behind it (RFC 9110, 15), or the words around it.
_STATUSES = (
    re.compile(rf"(?P<before>\b)(?=(?:{_PHRASES}|4\d\d Client Error|5\d\d Server Error)\b){_STATUS}"),
    re.compile(
        rf"(?P<before>\bHTTP(?:/\d(?:\.\d)?)?(?:[ _-]?(?:error|status|code))*[\s:=]{{1,3}}){_STATUS}", re.IGNORECASE
    ),
    re.compile(
        rf"(?P<before>(?<!exit[ _-])\bstatus(?:[ _-]?code)?(?:\s(?:is|was|of))?[\s:=]{{1,3}}){_STATUS}",
        re.IGNORECASE,
    ),
    # Matches “answered 503 after 2 s”, but not “returned 200 rows”.
    re.compile(
        rf"(?P<before>\b(?:answered|redirected|responded|replied|returned)\b[^.“\d]{{0,40}}?[\s:]){_STATUS}"
        r"(?=[^\w\s%]|\s?$|\s(?:after|at|by|for|from|in|on|to|when|while|with)\b)",
        re.IGNORECASE,
    ),
    # aiohttp's “ClientResponseError: 503, message=…”.
    re.compile(rf"(?P<before>\w(?:Error|Exception): ){_STATUS}(?=, message=)"),
)
_QUOTED_STATUS = re.compile(rf"{_PHRASES}|status(?:[ _-]?code)?", re.IGNORECASE)
# Stand-ins for the digits of a status (Unicode's private use area), so that replacing numbers leaves them.
_KEPT = {ord("0") + digit: 0xE000 + digit for digit in range(10)}
_SHOWN = {kept: digit for digit, kept in _KEPT.items()}


def error_pattern(error: str) -> str:
    """Return the error's text with quotations, ids and numbers replaced: `“…”`, `ID`, `N`; an HTTP status stays."""
    text = _QUOTED.sub(_leave_out, _one_line(error))
    for status in _STATUSES:
        text = status.sub(lambda found: found["before"] + found["status"].translate(_KEPT), text)
    return _without_numbers(text).translate(_SHOWN)


def short_error(error: str, most: int = 80) -> str:
    """Return an error in a few words, without PII: “HTTP 503” for an error with such a status, otherwise its
    pattern.
    """
    text = _one_line(error)
    found = next(filter(None, (status.search(text) for status in _STATUSES)), None)
    # An IP address without its numbers is of no use.
    return f"HTTP {found['status']}" if found else cut(_ADDRESS.sub("…", error_pattern(error)), most)


_ADDRESS = re.compile(r"\bN(?:[.:]N)+\b")


def fingerprint(error: str) -> str:
    """Return a short name of the error's pattern: twelve hexadecimal digits."""
    return _digest(error_pattern(error))


def former_fingerprint(error: str) -> str:
    """Return the fingerprint of earlier releases, without HTTP statuses: links and notes may still have it."""
    return _digest(_without_numbers(_QUOTED.sub("“…”", _one_line(error))))


def _one_line(error: str) -> str:
    return " ".join(error.split())


def _without_numbers(text: str) -> str:
    return _NUMBER.sub("N", _ID.sub("ID", text))[:_MOST_CHARACTERS]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _leave_out(quotation: re.Match[str]) -> str:
    """Return “…” for a quotation, or its text when that is a status with its phrase (httpx) or “status” (JSON)."""
    text = next((text for text in quotation.groups() if text), "")
    return text if _QUOTED_STATUS.fullmatch(text) else "“…”"


_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def is_id(text: str) -> bool:
    """Say whether a text can be the id of a dead letter."""
    # Redis keeps both halves of an id in 64 bits.
    return bool(_ENTRY_ID.fullmatch(text)) and max(map(int, text.split("-"))) < 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that no attempt could deliver to a group, and why.

    `id` is the dead letter's own, `event_id` the event's. `event` is the canonical event, `data` the fields that will
    be delivered, as text. `contract_version` is the version that it was checked against when it was published, None for
    an unchecked event. `error` is the last one; `fingerprint` identifies its kind, and contains no PII;
    `former_fingerprint` is that of earlier releases. `count` is the number of attempts, `attempts` has the last ten of
    them, oldest first. `first_ms` and `last_ms` are the times of the first and the last failure, in milliseconds since
    1970. `mask` marks the PII in the event, None when there is none.
    """

    id: str
    stream: str
    group: str
    event_id: str
    event: Mapping[str, Any]
    event_type: str
    timestamp: str | None
    source: str | None
    contract_version: int | None
    layout: str
    data: Mapping[str, str]
    error: str
    fingerprint: str
    former_fingerprint: str
    count: int
    attempts: tuple[Attempt, ...]
    first_ms: int
    last_ms: int
    mask: Mask | None = field(default=None, compare=False)

    @property
    def trace_id(self) -> str:
        """The id of the trace in which the event was published (W3C Trace Context), "" without one."""
        return trace_id_in(self.data.get(TRACEPARENT, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterCriteria:
    """A filter of dead letters: all given conditions must hold.

    `since_ms` and `until_ms` (milliseconds since 1970, both inclusive) limit the time of the last failure. `filter` is
    an expression over the dead letter, in which PII is masked for callers who may not see it.
    """

    event_type: str = ""
    fingerprint: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    filter: EventFilter | None = None

    def holds(self, letter: DeadLetter) -> bool:
        """Say whether a dead letter meets all conditions but `filter`."""
        return (
            self.event_type in ("", letter.event_type)
            and self.fingerprint in ("", letter.fingerprint, letter.former_fingerprint)
            and (self.since_ms is None or self.since_ms <= letter.last_ms)
            and (self.until_ms is None or letter.last_ms <= self.until_ms)
        )

    def describe(self) -> dict[str, Any]:
        """Return the conditions that are set, for the audit log. Texts in a filter are left out, since they may
        be PII.
        """
        said = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.filter is not None:
            said["filter"] = self.filter.without_texts
        return {name: value for name, value in said.items() if value not in ("", None)}


def summary_json(letter: DeadLetter) -> dict[str, Any]:
    """Return one dead letter as JSON for a list: without the event and the attempts."""
    return {
        "id": letter.id,
        "event_id": letter.event_id,
        "event_type": letter.event_type or None,
        "source": letter.source,
        "error": letter.error,
        "fingerprint": letter.fingerprint,
        "attempts": letter.count,
        "first_failed_at": time_of(letter.first_ms),
        "last_failed_at": time_of(letter.last_ms),
        "trace_id": letter.trace_id or None,
    }


def full_json(letter: DeadLetter) -> dict[str, Any]:
    """Return one dead letter as JSON, complete. `data` has the fields that a redrive delivers, as text."""
    return {
        **summary_json(letter),
        "stream": letter.stream,
        "group": letter.group,
        "event": letter.event,
        "timestamp": letter.timestamp,
        "contract_version": letter.contract_version,
        "layout": letter.layout,
        "data": dict(letter.data),
        "last_attempts": [
            {"at": time_of(one.at_ms), "number": one.number, "took_ms": one.took_ms, "error": one.error}
            for one in letter.attempts
        ],
    }


ROW_NAMES = (
    *("event", "error", "attempts", "fingerprint", "first_failed_at", "last_failed_at", "last_attempts", "event_type"),
    *("id", "event_id", "stream", "group", "timestamp", "source", "contract_version", "layout", "data"),
    "trace_id",
)
"""The parts of a dead letter that a filter can name."""


@dataclass(frozen=True, slots=True)
class Ids:
    """A selection of dead letters by their ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of dead letters, in order. `next` is the id after which the next page begins, None on the last page.
    `total` is the number of dead letters of the group, without filters. Only some thousands are examined for a page: if
    the limit was reached, `complete` is False, and the page may be short without being the last.
    """

    letters: tuple[DeadLetter, ...]
    next: str | None
    complete: bool
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The dead letters that an action would affect: their number (a lower bound unless `exact`), the first ids
    (`sample`), and the number of requested ids that do not exist (`gone`).
    """

    count: int
    sample: tuple[str, ...] = ()
    gone: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Dead letters whose errors differ only in ids, numbers and quotations. `newest` is the id of the newest dead
    letter, `example` its error.
    """

    fingerprint: str
    pattern: str
    newest: str
    example: str
    count: int
    event_types: tuple[str, ...]
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """The most frequent errors first. `complete`: all dead letters were read, not only the newest."""

    groups: tuple[ErrorGroup, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """The result of redriving dead letters.

    The counts are of dead letters that were scheduled for delivery (`moved`), that stay because their event is already
    scheduled (`waiting`), that do not exist (`gone`), and whose entry Synapse cannot read (`broken`). `results` has the
    result of each id. `cursor` continues the operation, None when all matching dead letters were read.
    """

    moved: int = 0
    waiting: int = 0
    gone: int = 0
    broken: int = 0
    results: tuple[tuple[str, Replayed], ...] = ()
    cursor: str | None = None

    @classmethod
    def from_results(cls, ids: Sequence[str], answers: Sequence[Replayed], *, cursor: str | None = None) -> "Redriven":
        """Count the results of these ids."""
        return cls(
            moved=answers.count("retry"),
            waiting=answers.count("waiting"),
            gone=answers.count("gone"),
            broken=answers.count("broken"),
            results=tuple(zip(ids, answers, strict=True)),
            cursor=cursor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A dead letter that is redriven with another event. `warnings`: violations of a contract that only warns."""

    redriven: Redriven
    event: Mapping[str, Any]
    contract_version: int | None
    warnings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """The result of discarding: the number of discarded dead letters, and of ids that did not exist any more (`gone`).
    `cursor` continues the operation, None when all matching dead letters were read.
    """

    count: int = 0
    gone: int = 0
    cursor: str | None = None


FILTERS = ("event_type", "fingerprint", "since", "until", "filter")
MOST_IDS = 1000
SLOWEST, FASTEST = 0.1, 10_000.0
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")


def read_criteria(query: Mapping[str, str]) -> DeadLetterCriteria:
    """Parse the query parameters `event_type`, `fingerprint`, `since`, `until` and `filter`; an empty value counts as
    absent.

    Raises:
        BadParameter, BadFilterExpression: when one of them cannot be used.
    """
    given = {name: query.get(name, "").strip() for name in FILTERS}
    if given["fingerprint"] and not _FINGERPRINT.fullmatch(given["fingerprint"]):
        raise BadParameter("“fingerprint” is twelve hexadecimal digits.", parameter="fingerprint")
    span = parse_range({name: given[name] for name in ("since", "until")})
    return DeadLetterCriteria(
        event_type=given["event_type"],
        fingerprint=given["fingerprint"],
        since_ms=span.first.ms if given["since"] else None,
        until_ms=span.last.ms if given["until"] else None,
        filter=compile_filter(given["filter"], names=ROW_NAMES) if given["filter"] else None,
    )


def read_rate(value: Any) -> float | None:
    """Parse a rate in dead letters a second; None: unlimited.

    Raises:
        BadParameter: when it is no number from 0.1 to 10,000.
    """
    if value is None:
        return None
    if not is_number(value, SLOWEST, FASTEST):
        raise BadParameter("“rate” is the number of dead letters a second, from 0.1 to 10000.", parameter="rate")
    return float(value)


_TEXT = re.compile(r"([0-9-]+)(?:~([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of an operation in parts: after the id `past`, "" at the beginning. `due_ms` (milliseconds since
    1970): the time at which the next dead letter is due, when the rate is limited.
    """

    past: str = ""
    due_ms: int = 0

    def __str__(self) -> str:
        return f"{self.past}~{self.due_ms}" if self.due_ms else self.past


def read_cursor(text: str) -> Cursor:
    """Parse a cursor; "" is the beginning.

    Raises:
        BadParameter: when the text cannot be the cursor of an earlier answer.
    """
    if not text:
        return Cursor()
    found = _TEXT.fullmatch(text)
    if found is None or not is_id(found[1]):
        raise BadParameter("“cursor” is not the cursor of an earlier answer.", parameter="cursor")
    return Cursor(found[1], int(found[2] or 0))
