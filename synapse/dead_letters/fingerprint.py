"""What errors have in common: their text without what differs from event to event. Pure.

The status of an HTTP answer stays: events that a receiver cannot take (500) and events that met an outage (503) are
dealt with apart, whoever wrote the error.
"""

import hashlib
import re
from http import HTTPStatus

_MOST_CHARACTERS = 300
_QUOTED = re.compile(r"“([^”]*)”|\"([^\"]*)\"|`([^`]*)`|(?<!\w)'([^']*)'(?!\w)")
# UUIDs, ids of entries, digests and the like: eight characters or more that hold a digit.
_ID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b\d+-\d+\b|\b(?=\w*\d)[\w]{8,}\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

_STATUS = r"(?P<status>[1-5]\d\d)(?![\w.]*\d)"
_PHRASES = "|".join(f"{status.value} {re.escape(status.phrase)}" for status in HTTPStatus)
# What tells that a number is a status: its own phrase behind it (RFC 9110, 15), or the words around it.
_STATUSES = (
    re.compile(rf"(?P<before>\b)(?=(?:{_PHRASES}|4\d\d Client Error|5\d\d Server Error)\b){_STATUS}"),
    re.compile(
        rf"(?P<before>\bHTTP(?:/\d(?:\.\d)?)?(?:[ _-]?(?:error|status|code))*[\s:=]{{1,3}}){_STATUS}", re.IGNORECASE
    ),
    re.compile(
        rf"(?P<before>(?<!exit[ _-])\bstatus(?:[ _-]?code)?(?:\s(?:is|was|of))?[\s:=]{{1,3}}){_STATUS}",
        re.IGNORECASE,
    ),
    # “answered 503 after 2 s”, and not “returned 200 rows”.
    re.compile(
        rf"(?P<before>\b(?:answered|redirected|responded|replied|returned)\b[^.“\d]{{0,40}}?[\s:]){_STATUS}"
        r"(?=[^\w\s%]|\s?$|\s(?:after|at|by|for|from|in|on|to|when|while|with)\b)",
        re.IGNORECASE,
    ),
    # aiohttp's “ClientResponseError: 503, message=…”.
    re.compile(rf"(?P<before>\w(?:Error|Exception): ){_STATUS}(?=, message=)"),
)
_QUOTED_STATUS = re.compile(rf"{_PHRASES}|status(?:[ _-]?code)?", re.IGNORECASE)
# Digits of a status are written as these while numbers are left out (Unicode's private use area).
_KEPT = {ord("0") + digit: 0xE000 + digit for digit in range(10)}
_SHOWN = {kept: digit for digit, kept in _KEPT.items()}


def pattern(error: str) -> str:
    """Return the error's text with quotations, ids and numbers replaced: `“…”`, `ID`, `N`; an HTTP status stays."""
    text = _QUOTED.sub(_leave_out, _one_line(error))
    for status in _STATUSES:
        text = status.sub(lambda found: found["before"] + found["status"].translate(_KEPT), text)
    return _without_numbers(text).translate(_SHOWN)


def fingerprint(error: str) -> str:
    """Return a short name of the error's pattern: twelve hexadecimal digits."""
    return _digest(pattern(error))


def former_fingerprint(error: str) -> str:
    """Return the fingerprint that the error had while statuses were left out, for those who wrote it down."""
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
