"""The request that delivers an event to a webhook's receiver, and the meaning of the receiver's response."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from hmac import HMAC
from typing import Literal

import orjson
from multidict import istr

from synapse.catalog.stream_definitions import Snapshot
from synapse.cloudevents import outgoing
from synapse.cloudevents.attributes import STRUCTURED
from synapse.delivery.sink import Delivery
from synapse.delivery.text_line import escape_unprintable, with_deep_values_as_text
from synapse.delivery.webhooks import signature
from synapse.errors.delivery import FailureClass, SinkDisabled, SinkError
from synapse.formats import exact_json
from synapse.formats.text import CUT, cut
from synapse.http.exchange import JSON
from synapse.wire.encoding import DecodedEntry
from synapse.wire.ids import iso_of, moment_of

Form = Literal["envelope", "event", "cloudevents", "cloudevents-binary"]
# The headers and the body of a request about an event.
Content = tuple[Mapping[str, str], bytes]

# The headers of every request, beside those of its content.
ALWAYS: Mapping[str, str] = {
    "User-Agent": "Synapse",
    "Accept": "*/*",
    # Responses are not decompressed, so no small response grows to gigabytes.
    "Accept-Encoding": "identity",
}
# In the HTTP client's own type: creating them only once saves a fifth of the time of a request.
_ID, _TIMESTAMP, _SIGNATURE = istr("webhook-id"), istr("webhook-timestamp"), istr("webhook-signature")
_CONTENT_TYPE = istr("Content-Type")
_JSON: Mapping[str, str] = {_CONTENT_TYPE: JSON}
_STRUCTURED: Mapping[str, str] = {_CONTENT_TYPE: STRUCTURED}
_ATTEMPT, _STREAM, _EVENT_ID = istr("Synapse-Attempt"), istr("Synapse-Stream"), istr("Synapse-Event-Id")
# Headers that users may not set: those of the connection and the message, and those that Synapse sets.
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect"}
    | {"content-encoding", "accept-encoding", "content-type", "cookie", "proxy-authorization", "proxy-connection"}
)
_OWN_PREFIXES = ("webhook-", "synapse-")


def is_own_header(name: str) -> bool:
    """Say whether users may not set a header."""
    return name.lower() in _OWN_HEADERS or name.lower().startswith(_OWN_PREFIXES)


class Messages:
    """Makes the requests of one bridge, whose consumer group is `group`."""

    def __init__(self, *, form: Form, group: str, signers: Sequence[HMAC], catalog: Callable[[], Snapshot]) -> None:
        self._form = form
        self._group = group
        self._signers = signers
        self._catalog = catalog

    def request_for(self, delivery: Delivery, now: float) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body for a delivery; `now` in seconds since 1970."""
        described, body = self.encode_event(delivery)
        id_ = signature.message_id(delivery.stream, self._group, delivery.id)
        timestamp = str(int(now))
        headers: dict[str, str] = {
            **described,
            _ID: id_,
            _TIMESTAMP: timestamp,
            _SIGNATURE: signature.sign(self._signers, id_, timestamp, body),
            _ATTEMPT: str(delivery.attempt),
            _STREAM: delivery.stream,
            _EVENT_ID: delivery.id,
        }
        if (trace := delivery.trace) is not None:
            headers.update(trace.headers)
        return headers, body

    def encode_event(self, delivery: Delivery) -> Content:
        """Return the event as JSON: alone, in the envelope that Standard Webhooks recommends, or as a CloudEvent."""
        entry = delivery.entry
        try:
            return self._encode(delivery, entry)
        except orjson.JSONEncodeError:
            return self._encode(delivery, entry._replace(event=with_deep_values_as_text(entry.event)))

    def _encode(self, delivery: Delivery, entry: DecodedEntry) -> Content:
        if self._form == "event":
            return _JSON, exact_json.dumps(entry.event)
        if self._form == "envelope":
            time = entry.timestamp or iso_of(moment_of(delivery.id))
            return _JSON, exact_json.dumps({"type": entry.event_type, "timestamp": time, "data": entry.event})
        event = outgoing.cloudevent_of(self._catalog(), delivery.stream, delivery.id, entry)
        if self._form == "cloudevents":
            return _STRUCTURED, outgoing.structured(event)
        return outgoing.binary(event)


# The bytes of a response that are read and kept, and the characters of it that an error quotes.
MOST_BYTES = 64 * 1024
KEPT_BYTES = 1024
_SHOWN = 200
# The longest wait that a receiver can ask for, in seconds: the longest in the schedule of Standard Webhooks.
LONGEST_WAIT = 24 * 3600.0
_GONE = 410
# By the first digit of the status. Redirects (3) are not followed.
_FAILURES: Mapping[int, FailureClass] = {3: "http-3xx", 4: "http-4xx", 5: "http-5xx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: `text` is its beginning (`response_text`), `ms` the duration, `retry_after` the unchanged header."""

    status: int
    text: str
    ms: int
    retry_after: str = ""


def response_text(text: bytes, *, is_all: bool) -> str:
    """Return the kept part of a response's text, with `CUT` at the end if it was cut. `is_all`: `text` is the whole
    response.
    """
    kept = text[:KEPT_BYTES].decode("utf-8", "replace")
    # Drop a character that was cut in half.
    return kept if is_all and len(text) <= KEPT_BYTES else kept.rstrip("\ufffd") + CUT


def is_success(status: int) -> bool:
    """Say whether the status means that the receiver took the event."""
    return 200 <= status < 300


def error_of(answer: Answer, *, permanent: Collection[int], now: float) -> SinkError:
    """Return the error of a failed delivery. `now`: seconds since 1970; `permanent`: the statuses that are not retried.

    The status 410 disables the bridge, as Standard Webhooks asks.
    """
    text = _describe(answer)
    if answer.status == _GONE:
        return SinkDisabled(f"The receiver wants no more events: {text}")
    return SinkError(
        text,
        permanent=answer.status in permanent,
        retry_after=retry_after(answer.retry_after, now),
        failure=_FAILURES.get(answer.status // 100, "other"),
        status=answer.status,
    )


def retry_after(header: str, now: float) -> float | None:
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


def _describe(answer: Answer) -> str:
    what = "redirected, which is not followed" if 300 <= answer.status < 400 else "answered"
    said = escape_unprintable(cut(" ".join(answer.text.split()), _SHOWN))
    return f"The receiver {what}: {answer.status} after {answer.ms} ms" + (f", “{said}”" if said else "")
