"""Names and tags of streams, names of groups and event types, URLs of pages, and functions on texts."""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")
RESERVED_PREFIX = "syn:"
# The stream of alerts, if the catalog defines it. Only Synapse publishes to it, so its events can be trusted.
ALERTS_STREAM = "synapse-alerts"
# The event types of its events: changes of alerts, and notifications of people.
ALERT_CHANGED, ALERT_NOTIFICATION = "alert-changed", "alert-notification"
RULE = "1 to 100 letters, digits, and . _ : -, not beginning with “syn:”"


def is_name(text: str) -> bool:
    """Say whether `text` can name a stream, a group or an event type."""
    return NAME.fullmatch(text) is not None and not text.startswith(RESERVED_PREFIX)


_TAG_LENGTH = 10


def tag_of(stream: str) -> str:
    """Return the short name of a stream in cursors and positions: ten hexadecimal digits."""
    return hashlib.sha256(stream.encode()).hexdigest()[:_TAG_LENGTH]


CUT = "…"


def cut(text: str, most: int) -> str:
    """Return the text, cut to `most` characters including `CUT` at its end if it is longer."""
    return text if len(text) <= most else text[: max(0, most - len(CUT))] + CUT


def plural(word: str, count: int) -> str:
    """Return a regular noun in the plural, or in the singular for a count of 1."""
    return word if count == 1 else f"{word}s"


NO_TEXTS: Mapping[str, str] = MappingProxyType({})


# Excludes characters that browsers remove or replace, so that a person sees the URL that is opened.
_ADDRESS = re.compile(r"https?://[^\s\\<>\"'`{}|^]+")


def link_complaint(text: str) -> str:
    """Return the reason that a text is not the URL of a page, as the end of a sentence; "" when it is one."""
    if not text.isprintable() or not _ADDRESS.fullmatch(text):
        return "must be an address that begins with http:// or https://, without blanks and quotes"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return "has a host or a port that there cannot be"
    if not parts.hostname:
        return "must name a host"
    return "must not hold a user or a password" if "@" in parts.netloc else ""
