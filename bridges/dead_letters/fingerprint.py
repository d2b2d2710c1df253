"""What errors have in common: their text without what differs from event to event. Pure."""

import hashlib
import re

_MOST_CHARACTERS = 300
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
# UUIDs, ids of entries, digests and the like: eight characters or more that hold a digit.
_ID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b\d+-\d+\b|\b(?=\w*\d)[\w]{8,}\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def pattern(error: str) -> str:
    """Return the error's text with quotations, ids and numbers replaced: `“…”`, `ID`, `N`."""
    text = _QUOTED.sub("“…”", " ".join(error.split()))
    return _NUMBER.sub("N", _ID.sub("ID", text))[:_MOST_CHARACTERS]


def fingerprint(error: str) -> str:
    """Return a short name of the error's pattern: twelve hexadecimal digits."""
    return hashlib.sha256(pattern(error).encode("utf-8", "replace")).hexdigest()[:12]
