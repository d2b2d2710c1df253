"""Is it well? What health checks are answered, from what the prober knows."""

import time
from collections.abc import Mapping

from streams.health_probe import Problems
from synapse.http.exchange import Response, json_response

SERVICE = "synapse"
_STARTED = time.monotonic()


def health(problems: Problems) -> Response:
    """Answer `GET /health`: 200 when Redis and the database work, else 503 and what is wrong."""
    wrong = " ".join(filter(None, problems.values()))
    parts = {name: "down" if problem else "ok" for name, problem in problems.items()}
    if wrong:
        return _unavailable({"status": "unhealthy", "service": SERVICE, "error": wrong, **parts})
    return json_response({"status": "healthy", "service": SERVICE, **parts})


def readiness(problems: Problems) -> Response:
    """Answer `GET /readyz`: 200 when events can be published, which takes Redis alone, else 503."""
    if problems["redis"]:
        return _unavailable({"ready": False, "redis_status": "down"})
    return json_response({"ready": True, "redis_status": "ok"})


def liveness() -> Response:
    """Answer `GET /healthz`: this process answers, since `uptime` seconds. Nothing else is looked at."""
    return json_response({"healthy": True, "service": SERVICE, "uptime": int(time.monotonic() - _STARTED)})


def _unavailable(value: Mapping[str, object]) -> Response:
    return json_response(value, status=503, headers={"Retry-After": "1"})
