"""Where in a stream a group begins, as a person writes it."""

import re
from datetime import UTC, datetime

from synapse.errors.delivery import BadPosition

BEGINNING, NEW = "0", "$"
_ID = re.compile(r"(?P<ms>[0-9]{1,20})(?:-(?P<sequence>[0-9]{1,20}))?")
_LARGEST = 2**64 - 1


def start_of(text: str, *, now: datetime) -> str:
    """Return the id after which a group begins that shall get what `text` names, and all that comes later.

    `text` is `beginning`, `new`, an entry's id, or a time (ISO 8601; UTC when it names no zone). An entry with just
    that id or time is included.

    Raises:
        BadPosition: for anything else, and for a time after `now`.
    """
    if text in ("beginning", "new"):
        return BEGINNING if text == "beginning" else NEW
    if found := _ID.fullmatch(text):
        return _before(int(found["ms"]), int(found["sequence"] or 0))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise BadPosition(
            f"“{text[:100]}” is not a start position: use beginning, new, the id of an event (1766570400000-0), "
            "or a time (2025-12-24T10:00:00Z)."
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    if time > now:
        raise BadPosition(f"{time.isoformat()} is in the future. To start with events published from now on: new.")
    return _before(max(0, int(time.timestamp() * 1000)), 0)


def _before(ms: int, sequence: int) -> str:
    if ms > _LARGEST or sequence > _LARGEST:
        raise BadPosition("The two numbers of an id have at most 64 bits each.")
    if sequence:
        return f"{ms}-{sequence - 1}"
    return f"{ms - 1}-{_LARGEST}" if ms else BEGINNING
