"""Formatting of log records as single lines with text from outside escaped, and limits for records about refused
requests.

A name with a line break must not look like two records, and an escape character must not reach the reader's terminal
(CWE-117). Any client that reaches the port can cause records of refused requests.
"""

import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple

import orjson

# Control characters (C0, DEL, C1), line separators and direction marks of Unicode.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escape_controls(text: str) -> str:
    """Return the text with each control character escaped as in JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


# The trace id of the current request or task, "" without a trace.
TRACE_ID: ContextVar[str] = ContextVar("trace_id", default="")


class TextLines(logging.Formatter):
    """Formats each record as one line for people, with its trace id. The lines of a traceback follow, indented."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_format_time(record)} {record.levelname} {record.name}: {escape_controls(record.getMessage())}"
        if trace_id := _trace_id(record):
            line = f"{line} (trace {escape_controls(trace_id)})"
        about = _format_traceback(self, record)
        return "\n".join([line, *(f"    {escape_controls(part)}" for part in about.splitlines())]) if about else line


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object for programs: `time` (RFC 3339), `level`, `logger`, `message`, `trace_id`
    for a record within a trace, and `error` for a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _format_time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_id := _trace_id(record):
            fields["trace_id"] = trace_id
        if about := _format_traceback(self, record):
            fields["error"] = about
        # JSON escapes the other characters; a lone surrogate cannot be encoded in UTF-8.
        text = orjson.dumps({name: _replace_surrogates(text) for name, text in fields.items()}).decode("utf-8")
        return escape_controls(text)


class WithoutTraceOfRefusals(logging.Filter):
    """Removes the traceback from Django's records of refused requests, and lets all records pass.

    A refusal is a normal response, so the line of code that raised it does not help a reader.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) != 500:
            record.exc_info = None
        return True


def _trace_id(record: logging.LogRecord) -> str:
    found: str = getattr(record, "trace_id", "") or TRACE_ID.get()
    return found


def _format_time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _format_traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _replace_surrogates(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


_LOGGERS = ("django.request", "django.security", "uvicorn")
_SECONDS = 10.0


class _Kind(NamedTuple):
    """The features by which records are counted together."""

    logger: str
    what: object


class SummedRefusals(logging.Filter):
    """Passes one warning of each kind in ten seconds; the next one has the number of those that were left out.

    A kind is a logger with an HTTP status, or with a message when there is no status. Errors, and warnings that no
    request caused, always pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        # By kind: the time when a record may pass again, and the number of records left out since the last one.
        self._kinds: dict[_Kind, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or not record.name.startswith(_LOGGERS):
            return True
        kind = _Kind(record.name, getattr(record, "status_code", record.msg))
        with self._lock:
            now = self._clock()
            passes_at, left_out = self._kinds.get(kind, (now, 0))
            passes = now >= passes_at
            self._kinds[kind] = (now + _SECONDS, 0) if passes else (passes_at, left_out + 1)
        if passes and left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like it since the last line)", ()
        return passes
