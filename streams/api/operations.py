"""Health checks and metrics through Django REST framework."""

from functools import cache

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request

from core.views import ApiView, to_django, to_request
from streams import connections, health
from streams.access import MetricsAuthentication, principal_of
from streams.api.openapi import described, example
from streams.api.shapes import operations as shapes
from streams.connections import all_shares
from streams.snapshot import holder
from synapse.inspection.inference_summary import Inference
from synapse.metrics import metrics
from synapse.redis import SyncExecutor


class Health(ApiView):
    authentication_classes = []

    @described(
        "Say whether Synapse works",
        name="health",
        to_strangers=True,
        tag="operations",
        answers={200: shapes.Health, 503: OpenApiResponse(shapes.Health, "Redis or the database is down.")},
        examples=[
            example("healthy", {"status": "healthy", "service": "synapse", "redis": "ok", "database": "ok"}, status=200)
        ],
    )
    def get(self, request: Request) -> HttpResponse:
        """Always answers within two seconds, whatever hangs."""
        return to_django(health.health(health.asked()))


class Liveness(ApiView):
    authentication_classes = []

    @described(
        "Say that the process answers",
        name="liveness",
        tag="operations",
        to_strangers=True,
        answers={200: shapes.Liveness},
    )
    def get(self, request: Request) -> HttpResponse:
        """Says nothing about Redis or the database: restarting Synapse would not bring them back."""
        return to_django(health.liveness())


class Readiness(ApiView):
    authentication_classes = []

    @described(
        "Say whether events can be published",
        name="readiness",
        to_strangers=True,
        tag="operations",
        answers={200: shapes.Readiness, 503: OpenApiResponse(shapes.Readiness, "Redis is down.")},
    )
    def get(self, request: Request) -> HttpResponse:
        """Publishing takes Redis alone, so that is what is asked for."""
        return to_django(health.readiness(health.asked()))


class Metrics(ApiView):
    authentication_classes = [MetricsAuthentication]

    @described(
        "Show the metrics",
        name="metrics",
        tag="operations",
        answers={
            (200, "application/json"): shapes.Metrics,
            (200, "text/plain"): OpenApiResponse(str, "Prometheus' text format."),
            (200, "application/openmetrics-text"): OpenApiResponse(str, "OpenMetrics."),
        },
        problems=[503],
    )
    def get(self, request: Request) -> HttpResponse:
        """JSON for people and programs, and Prometheus' format when the Accept header names it as Prometheus does."""
        asked = to_request(request._request, principal_of(request))
        executor = connections.executor()
        return to_django(executor.run(metrics(asked, holder.current(), _inference_of(executor), all_shares())))


@cache
def _inference_of(executor: SyncExecutor) -> Inference:
    """What is remembered of a server's events; another server has others."""
    return Inference()
