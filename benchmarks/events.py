"""The published events: the guide's inference event, alone, in a batch, and with varying values."""

import json
from typing import Any

STREAM = "inference-events"
JSON = "application/json"
BATCH = 500

EVENT: dict[str, Any] = {
    "event_type": "inference-complete",
    "request_id": "req_123456",
    "model_name": "task-classifier-v2",
    "latency_ms": 45,
    "confidence": 0.92,
    "timestamp": "2024-01-15T10:30:00Z",
}


def compact(value: Any) -> bytes:
    """Return JSON without spaces, as written by JavaScript's JSON.stringify and most HTTP clients."""
    return json.dumps(value, separators=(",", ":")).encode()


def cloudevent(id_: str) -> dict[str, Any]:
    """Return the inference event as a CloudEvent."""
    data = {name: value for name, value in EVENT.items() if name not in ("event_type", "timestamp")}
    attributes = {"id": id_, "source": "/cyrex", "type": EVENT["event_type"], "time": EVENT["timestamp"]}
    return {"specversion": "1.0", **attributes, "data": data}


def entry_fields() -> dict[str, str]:
    """Return the fields of an entry of the inference event."""
    return {name: value if isinstance(value, str) else compact(value).decode() for name, value in EVENT.items()}


def spaced(value: Any) -> bytes:
    """Return JSON with a space after each colon and comma, as written by Python's json.dumps."""
    return json.dumps(value).encode()


def varied(count: int) -> list[dict[str, Any]]:
    """Return a number of different inference events, equal in each run."""
    return [
        EVENT
        | {
            "request_id": f"req_{100_000 + number}",
            "latency_ms": 20 + number * 7 % 300,
            "confidence": round(0.5 + number * 13 % 50 / 100, 2),
            "timestamp": f"2024-01-15T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        }
        for number in range(count)
    ]
