"""What a receiver's answer means."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from synapse.delivery.text_line import harmless
from synapse.errors.delivery import SinkDisabled, SinkError
from synapse.formats.text import CUT, cut

# What is read of an answer, and what is kept of that, in bytes; and what is shown in a line, in characters.
MOST_BYTES = 64 * 1024
KEPT_BYTES = 1024
_SHOWN = 200
# As long as the longest pause of the schedule that Standard Webhooks recommends, in seconds.
LONGEST_WAIT = 24 * 3600.0
_GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer: `text` as `beginning` keeps it, `ms` how long it took, `retry_after` the header as it came."""

    status: int
    text: str
    ms: int
    retry_after: str = ""


def beginning(text: bytes, *, is_all: bool) -> str:
    """Return what is kept of an answer's text, with `CUT` where it was cut. `is_all`: the answer had no more."""
    kept = text[:KEPT_BYTES].decode("utf-8", "replace")
    # Half a character says nothing.
    return kept if is_all and len(text) <= KEPT_BYTES else kept.rstrip("\ufffd") + CUT


def is_taken(status: int) -> bool:
    """Say whether the receiver has taken the event."""
    return 200 <= status < 300


def failure(answer: Answer, *, permanent: Collection[int], now: float) -> SinkError:
    """Return why an event was not taken. `now` in seconds since 1970; `permanent`: the answers that are for good.

    A receiver that is gone (410) gets nothing more: Standard Webhooks asks to disable it.
    """
    text = _sentence(answer)
    if answer.status == _GONE:
        return SinkDisabled(f"The receiver wants no more events: {text}")
    return SinkError(text, permanent=answer.status in permanent, retry_after=wait_of(answer.retry_after, now))


def wait_of(header: str, now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), at most a day; None when it asks for none."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(float(header[:20]), LONGEST_WAIT) or None
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, IndexError, OverflowError):
        return None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None


def _sentence(answer: Answer) -> str:
    what = "redirected, which is not followed" if 300 <= answer.status < 400 else "answered"
    said = harmless(cut(" ".join(answer.text.split()), _SHOWN))
    return f"The receiver {what}: {answer.status} after {answer.ms} ms" + (f", “{said}”" if said else "")
