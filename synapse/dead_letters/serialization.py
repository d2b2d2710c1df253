"""Dead letters as JSON values, the same for the API and for files."""

from collections.abc import Mapping
from typing import Any

import orjson

from synapse.dead_letters.dead_letter import DeadLetter, ErrorGroup
from synapse.formats import exact_json
from synapse.wire.ids import iso_of, moment_of_ms


def summary(letter: DeadLetter) -> dict[str, Any]:
    """Return what a list shows of one: all but the event and the attempts."""
    return {
        "id": letter.id,
        "event_id": letter.event_id,
        "event_type": letter.event_type or None,
        "source": letter.source,
        "error": letter.error,
        "fingerprint": letter.fingerprint,
        "attempts": letter.count,
        "first_failed_at": time_of(letter.first_ms),
        "last_failed_at": time_of(letter.last_ms),
    }


def whole(letter: DeadLetter) -> dict[str, Any]:
    """Return all that is known of one. `data` are the fields that a redrive delivers, as text."""
    return {
        **summary(letter),
        "stream": letter.stream,
        "group": letter.group,
        "event": _writable(letter.event, otherwise=letter.data),
        "timestamp": letter.timestamp,
        "contract_version": letter.contract_version,
        "layout": letter.layout,
        "data": dict(letter.data),
        "last_attempts": [
            {"at": time_of(one.at_ms), "number": one.number, "took_ms": one.took_ms, "error": one.error}
            for one in letter.attempts
        ],
    }


def error_group(found: ErrorGroup) -> dict[str, Any]:
    """Return those with one fingerprint together."""
    return {
        "fingerprint": found.fingerprint,
        "pattern": found.pattern,
        "count": found.count,
        "event_types": [name or None for name in found.event_types],
        "newest": found.newest,
        "example": found.example,
        "first_failed_at": time_of(found.first_ms),
        "last_failed_at": time_of(found.last_ms),
    }


def time_of(ms: int) -> str | None:
    """Return a moment in ISO 8601 (UTC), None for what no calendar has."""
    return iso_of(moment_of_ms(ms))


def _writable(event: Mapping[str, Any], *, otherwise: Mapping[str, str]) -> orjson.Fragment | Mapping[str, str]:
    """Return the event as JSON; of one that another program nested deeper than JSON can be written, the fields."""
    try:
        return orjson.Fragment(exact_json.dumps(event))
    except orjson.JSONEncodeError:
        return otherwise
