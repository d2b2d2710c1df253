"""An event as the request that a webhook's receiver gets."""

from collections.abc import Mapping, Sequence
from hmac import HMAC
from typing import Literal

import orjson
from multidict import istr

from synapse.delivery.event_delivery import Delivery
from synapse.delivery.text_line import with_deep_values_as_text
from synapse.delivery.webhooks import signature
from synapse.formats import exact_json
from synapse.wire.ids import iso_of, moment_of

Form = Literal["envelope", "event"]

# What goes with every request.
ALWAYS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "User-Agent": "Synapse",
    "Accept": "*/*",
    # What comes back is looked at as it is: nothing that unfolds to gigabytes.
    "Accept-Encoding": "identity",
}
# As the HTTP client compares them: made once, they cost a fifth of a request less.
_ID, _TIMESTAMP, _SIGNATURE = istr("webhook-id"), istr("webhook-timestamp"), istr("webhook-signature")
_ATTEMPT, _STREAM, _EVENT_ID = istr("Synapse-Attempt"), istr("Synapse-Stream"), istr("Synapse-Event-Id")
# What belongs to the connection, to the message or to us.
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect"}
    | {"content-encoding", "accept-encoding", "content-type", "cookie", "proxy-authorization", "proxy-connection"}
)
_OWN_PREFIXES = ("webhook-", "synapse-")


def is_own_header(name: str) -> bool:
    """Say whether a header is not for users to set."""
    return name.lower() in _OWN_HEADERS or name.lower().startswith(_OWN_PREFIXES)


class Messages:
    """Makes the requests of one bridge, whose consumer group is `group`."""

    def __init__(self, *, form: Form, group: str, signers: Sequence[HMAC]) -> None:
        self._form = form
        self._group = group
        self._signers = signers

    def of(self, delivery: Delivery, now: float) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body for a delivery; `now` in seconds since 1970."""
        body = self.body(delivery)
        id_ = signature.message_id(delivery.stream, self._group, delivery.id)
        timestamp = str(int(now))
        headers: dict[str, str] = {
            _ID: id_,
            _TIMESTAMP: timestamp,
            _SIGNATURE: signature.signatures(self._signers, id_, timestamp, body),
            _ATTEMPT: str(delivery.attempt),
            _STREAM: delivery.stream,
            _EVENT_ID: delivery.id,
        }
        return headers, body

    def body(self, delivery: Delivery) -> bytes:
        """Return the event as JSON: alone, or in the envelope that Standard Webhooks recommends."""
        entry = delivery.entry
        try:
            return self._written(delivery, entry.event)
        except orjson.JSONEncodeError:
            return self._written(delivery, with_deep_values_as_text(entry.event))

    def _written(self, delivery: Delivery, event: Mapping[str, object]) -> bytes:
        if self._form == "event":
            return exact_json.dumps(event)
        entry = delivery.entry
        return exact_json.dumps(
            {"type": entry.event_type, "timestamp": entry.timestamp or iso_of(moment_of(delivery.id)), "data": event}
        )
