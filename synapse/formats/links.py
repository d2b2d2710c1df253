"""Addresses of pages, as people write them into definitions and browsers follow them."""

import re
from urllib.parse import urlsplit

# Browsers drop or turn round what is left out here, and so would read another address than a person.
_TEXT = re.compile(r"https?://[^\s\\<>\"'`{}|^]+")


def link_complaint(text: str) -> str:
    """Return why a text is no address of a page, as the end of a sentence; "" when it is one."""
    if not text.isprintable() or not _TEXT.fullmatch(text):
        return "must be an address that begins with http:// or https://, without blanks and quotes"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return "has a host or a port that there cannot be"
    if not parts.hostname:
        return "must name a host"
    return "must not hold a user or a password" if "@" in parts.netloc else ""
