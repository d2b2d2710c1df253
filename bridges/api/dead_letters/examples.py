"""What is asked of dead letters and answered, once, for the OpenAPI document."""

from typing import Any

ID = "1795432911042-0"
EVENT = {"event_type": "inference-complete", "request_id": "req_123", "model_name": "ranker", "latency_ms": 45}
SUMMARY: dict[str, Any] = {
    "id": ID,
    "event_id": "1795432838408-0",
    "event_type": "inference-complete",
    "source": "cyrex",
    "error": "https://hooks.example.com/ answered 500 Internal Server Error",
    "fingerprint": "5e5f1b5b8c3d",
    "attempts": 10,
    "first_failed_at": "2026-11-23T11:20:38.512Z",
    "last_failed_at": "2026-11-23T11:21:51.042Z",
}
CHECK = {
    "state": "broken",
    "contract_version": 2,
    "detail": "The event breaks version 2 of the contract “inference-events.inference-complete” in one place: "
    "The event must have the property “confidence”.",
    "violations": [
        {
            "pointer": "",
            "keyword": "required",
            "schema_pointer": "/required",
            "message": "The event must have the property “confidence”.",
        }
    ],
}
PLACE = {"stream": "inference-events", "group": "hooks"}
PAGE = {
    **PLACE,
    "total": 1,
    "dead_letters": [SUMMARY],
    "order": "newest",
    "next": None,
    "complete": True,
}
GROUPS = {
    **PLACE,
    "total": 12,
    "groups": [
        {
            "fingerprint": SUMMARY["fingerprint"],
            "pattern": "https://hooks.example.com/ answered N Internal Server Error",
            "count": 12,
            "event_types": ["inference-complete"],
            "newest": ID,
            "example": SUMMARY["error"],
            "first_failed_at": SUMMARY["first_failed_at"],
            "last_failed_at": SUMMARY["last_failed_at"],
        }
    ],
    "complete": True,
}
WHOLE = {
    **SUMMARY,
    **PLACE,
    "event": EVENT,
    "timestamp": "2026-11-23T11:20:38.406Z",
    "contract_version": 1,
    "layout": "flat",
    "data": {"event_type": "inference-complete", "request_id": "req_123", "latency_ms": "45"},
    "last_attempts": [
        {"at": SUMMARY["last_failed_at"], "number": 10, "took_ms": 212, "error": SUMMARY["error"]},
    ],
    "check": CHECK,
}
