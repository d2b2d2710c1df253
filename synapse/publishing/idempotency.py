"""Idempotency keys: a publisher names a request with one, so that a repeated request stores nothing twice.

After the IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header-07).
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.incoming import CloudEvent
from synapse.formats import exact_json
from synapse.http.exchange import Request
from synapse.problems import BadRequest
from synapse.redis.commands.publishing import IdempotencyKey

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 128
KEY = re.compile(r"[!-~]{1,128}")


def key_of(request: Request, stream: StreamDefinition, *, is_keyed: bool) -> str | None:
    """Return the Idempotency-Key of a request; None when it has none.

    Args:
        is_keyed: whether each event of the request has an own key (`Body.is_keyed`).

    Raises:
        BadRequest: when the key is not valid, and when it is missing and the stream demands one.
    """
    text = request.headers.get(HEADER.lower())
    if text is None:
        if stream.idempotency_key == "required" and not is_keyed:
            raise BadRequest(
                f"The stream “{stream.name}” takes no event without an {HEADER}: send a new one with each new event,"
                " and the same when you send it again.",
                parameter=HEADER,
            )
        return None
    if not KEY.fullmatch(text):
        raise BadRequest(
            f"The header {HEADER} is one key of 1 to {LONGEST} printable ASCII characters without spaces.",
            parameter=HEADER,
        )
    return text


def of_one(request: Request, key: str | None, item: Any, version: int | None) -> IdempotencyKey:
    """Return the idempotency key of a request with one event. Without a `key`, it is made of the source and id of a
    CloudEvent."""
    if type(item) is CloudEvent:
        written = item.content().encode() + exact_json.dumps(item.event)
        return of_written(request, item.key if key is None else key, written, version)
    return of_written(request, key or "", exact_json.dumps(item), version)


def of_written(request: Request, key: str, item: bytes, version: int | None) -> IdempotencyKey:
    """Return the idempotency key of a request with one event, given the JSON of the event (`item`)."""
    # Events under one key are equal when their JSON and the requested contract version are.
    content = item if version is None else b"%b\n%d" % (item, version)
    # Calling the type would take twice as long, for each event.
    return tuple.__new__(IdempotencyKey, (str(request.principal), key, sha256(content).hexdigest()))


def of_item(request: Request, key: str | None, index: int, item: Any, version: int | None) -> IdempotencyKey:
    """Return the idempotency key of one event of a batch: it is made of the key of the batch and the index of the
    event, or of the source and id of a CloudEvent."""
    return of_one(request, None if key is None else key_of_item(key, index), item, version)


def key_of_item(key: str, index: int) -> str:
    """Return the key of one event of a batch."""
    return f"{key}/{index}"


def of_all(request: Request, key: str, items: Sequence[IdempotencyKey]) -> IdempotencyKey:
    """Return the idempotency key of a batch that is stored all or none, given the keys that its events would have."""
    parts = "\n".join(["together", *(item.fingerprint for item in items)])
    return IdempotencyKey(who=str(request.principal), key=key, fingerprint=sha256(parts.encode()).hexdigest())
