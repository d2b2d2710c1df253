"""CloudEvents as they lie in Redis."""

from collections.abc import Mapping
from typing import Any

import orjson

from synapse.wire.encoding import encode

TIME = "2026-11-01T08:00:00.000Z"
# Context attributes as an entry keeps them, with the notable kinds of values.
CAME = {
    "id": "A-1",
    "source": "/shop",
    "subject": "käse 42",
    "time": "2026-01-02T03:04:05.678901234+05:30",
    "dataschema": "https://shop.example.org/order",
    "datacontenttype": "application/vnd.order+json",
    "tenant": "7",
    "retries": 3,
    "isurgent": True,
}


def fields_of(
    event: Mapping[str, Any], came: Mapping[str, Any] | None = None, *, layout: Any = "flat", version: int = 0
) -> dict[str, str]:
    """Return the fields of an entry: of a native event, or of one that came as a CloudEvent with these attributes."""
    beside = {}
    if came is not None:
        beside = {"synapse_cloudevent": orjson.dumps(came).decode()}
    source = "cyrex" if came is None else came["source"]
    texts = encode(event, layout=layout, timestamp=TIME, source=source, contract_version=version, beside=beside)
    return dict(zip(texts[::2], texts[1::2], strict=True))
