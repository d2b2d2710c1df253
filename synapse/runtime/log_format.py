"""Log records as lines that nobody but the logger can begin: what came from outside is escaped.

A name with a line break in it must not look like two records, and an escape character must not reach the terminal of
who reads them (CWE-117).
"""

import logging
import re
from datetime import UTC, datetime

import orjson

# Control characters (C0, DEL, C1), and what Unicode ends lines with or turns their direction with.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    """Return the text with each control character written as in JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class TextLines(logging.Formatter):
    """A line a record, for people. A traceback follows, each of its lines indented."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_when(record)} {record.levelname} {record.name}: {escaped(record.getMessage())}"
        about = _about(self, record)
        return "\n".join([line, *(f"    {escaped(part)}" for part in about.splitlines())]) if about else line


class JsonLines(logging.Formatter):
    """An object a line, for programs: `time` (RFC 3339), `level`, `logger`, `message`, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _when(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if about := _about(self, record):
            fields["error"] = about
        # JSON escapes the rest; a lone surrogate has no place in UTF-8.
        text = orjson.dumps({name: _whole(text) for name, text in fields.items()}).decode("utf-8")
        return escaped(text)


class WithoutTraceOfRefusals(logging.Filter):
    """Takes the traceback away from records of Django's that a request was refused, be it for now, and lets all pass.

    A refusal is an answer like others: where in Synapse it was raised, tells nobody anything.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) != 500:
            record.exc_info = None
        return True


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _about(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
