"""Health checks and metrics."""

import asyncio
from functools import cache, partial

from django.conf import settings

from streams import connections, health
from streams.connections import all_shares
from synapse.auth.permission import ANYBODY, Requirement
from synapse.endpoints import Answer, Call, EventLoop, Example, Meaning, about, endpoint, maybe
from synapse.http.exchange import JSON, Done, Failed, Request, Response
from synapse.inspection.answers import Figures
from synapse.inspection.inference_summary import Inference
from synapse.metrics import answer_metrics
from synapse.redis import Conversation, SyncExecutor


class Health(Answer):
    """Whether Synapse works."""

    status: str = about("healthy or unhealthy.")
    service: str
    redis: str = about("ok or down.")
    database: str = about("ok or down.")
    error: str = maybe()


class Liveness(Answer):
    """The state of the process."""

    healthy: bool
    service: str
    uptime: int = about("Seconds.")


class Readiness(Answer):
    """Whether events can be published."""

    ready: bool
    redis_status: str = about("ok or down.")


class InferenceMetrics(Answer):
    """Sums over the newest inference events."""

    total_inferences: int
    avg_latency_ms: float
    total_tokens: int
    time_window_minutes: int
    sampled: bool = about("At most the newest 1,000 entries of the window are looked at.")


class Metrics(Answer):
    """The metrics of all streams."""

    total_streams: int
    streams: dict[str, Figures]
    inference_metrics: InferenceMetrics


async def _answer_health(request: Request) -> Response:
    return health.answer_health(await _find_problems())


def _health_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer without an asyncio task, if a prober of this process checks Redis and the database."""
    known = health.latest_problems()
    if known is not None:
        done(health.answer_health(known))
    return known is not None


async def _answer_readiness(request: Request) -> Response:
    return health.answer_readiness(await _find_problems())


async def _answer_liveness(request: Request) -> Response:
    return health.answer_liveness()


def _liveness_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer without an asyncio task, so that a probe is answered sooner on a busy event loop."""
    done(health.answer_liveness())
    return True


async def _find_problems() -> health.Problems:
    known = health.latest_problems()
    return known if known is not None else await asyncio.to_thread(health.check_now)


_HEALTHY = {"status": "healthy", "service": "synapse", "redis": "ok", "database": "ok"}


_operation = partial(endpoint, tag="operations")


@_operation(
    "GET",
    "/health",
    "Say whether Synapse works",
    {200: Health, 503: Meaning(Health, "Redis or the database is down.")},
    name="health",
    requires=ANYBODY,
    on_event_loop=EventLoop(handler=_answer_health, direct=_health_directly),
    examples=[Example("healthy", _HEALTHY, 200)],
)
def show_health(call: Call[None, None]) -> Response:
    """Always answers within two seconds, even when Redis or the database hangs."""
    return health.answer_health(health.check_now())


@_operation(
    "GET",
    "/healthz",
    "Say that the process answers",
    Liveness,
    requires=ANYBODY,
    on_event_loop=EventLoop(handler=_answer_liveness, direct=_liveness_directly),
)
def liveness(call: Call[None, None]) -> Response:
    """Does not check Redis or the database, because a restart of Synapse would not repair them."""
    return health.answer_liveness()


@_operation(
    "GET",
    "/readyz",
    "Say whether events can be published",
    {200: Readiness, 503: Meaning(Readiness, "Redis is down.")},
    requires=ANYBODY,
    on_event_loop=EventLoop(handler=_answer_readiness),
)
def readiness(call: Call[None, None]) -> Response:
    """Checks only Redis, because publishing needs nothing else."""
    return health.answer_readiness(health.check_now())


@_operation(
    "GET",
    "/metrics",
    "Show the metrics",
    {
        (200, JSON): Metrics,
        (200, "text/plain"): Meaning({"type": "string"}, "Prometheus' text format."),
        (200, "application/openmetrics-text"): Meaning({"type": "string"}, "OpenMetrics."),
    },
    problems=[406],
    requires=Requirement(scope="metrics:read"),
)
def metrics(call: Call[None, None]) -> Conversation[Response]:
    """JSON for people and programs, and Prometheus' format when the Accept header names it as Prometheus does."""
    inference, version = _inference_of(connections.executor()), str(settings.SPECTACULAR_SETTINGS["VERSION"])
    return (yield from answer_metrics(call.request, call.catalog, inference, all_shares(), version))


@cache
def _inference_of(executor: SyncExecutor) -> Inference:
    """Return the cached sums over the events of a server: one cache per Redis executor."""
    return Inference()
