"""An entry as JSON, the same wherever entries are shown."""

from collections.abc import Mapping
from typing import Any

import orjson

from synapse.formats import exact_json
from synapse.wire.encoding import DecodedEntry
from synapse.wire.masking import Mask


def shown(id_: str, data: Mapping[str, str], decoded: DecodedEntry, *, mask: Mask | None = None) -> dict[str, Any]:
    """Return an entry as JSON: its fields as text in `data`, `event` as they are decoded, and the entry's metadata.

    `mask` hides the PII from readers without payload access.
    """
    if mask is not None:
        data, decoded = mask.fields(data, decoded.event), mask.decoded(decoded)
    return {
        "id": id_,
        "data": data,
        "event": _writable(decoded.event, otherwise=data),
        "event_type": decoded.event_type or None,
        "timestamp": decoded.timestamp,
        "source": decoded.source,
        # As a publisher is told: null when the event was checked against no contract.
        "contract_version": decoded.contract_version or None,
        "layout": decoded.layout,
    }


def _writable(event: Mapping[str, Any], *, otherwise: Mapping[str, str]) -> orjson.Fragment | Mapping[str, str]:
    """Return the event as JSON, and as its texts when it is a foreign one nested deeper than JSON can be written."""
    try:
        return orjson.Fragment(exact_json.dumps(event))
    except orjson.JSONEncodeError:
        return otherwise
