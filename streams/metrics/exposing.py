"""The answer to who asks for metrics."""

import re
import time
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from core.http import Request, Response, json_response
from core.permission import demand_scope
from core.rights import Rights
from core.shares import Shares
from streams import figures
from streams.broker.command import Conversation
from streams.definitions import Snapshot
from streams.inference import Inference
from streams.metrics.reading import Reading, read
from streams.metrics.table import METRICS

_VARY = {"Vary": "Accept"}
_JSON = re.compile(r"application/json(?:;|$)")
_TEXT = re.compile(r"text/plain(?:;|$)")
_VERSIONED_TEXT = re.compile(r"application/openmetrics-text(?:;|$)|text/plain;(?:.*;)?version=")
_STRANGE_VERSION = re.compile(r"version=(?![0-9]+(?:\.[0-9]+)*\s*(?:;|$))")


class Collector:
    """Hands a reading to prometheus-client (its interface for custom collectors)."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its samples."""
        return [metric.family(self._reading) for metric in METRICS]


def metrics(
    request: Request, catalog: Snapshot, inference: Inference, shares: Sequence[Shares]
) -> Conversation[Response]:
    """Answer `GET /metrics`: in Prometheus' own format when the Accept header names it, else in JSON.

    Raises:
        Forbidden: when the caller may not see metrics.
        Unavailable: when Redis cannot be used.
    """
    demand_scope(request.principal, "metrics:read")
    accept = request.headers.get("accept", "")
    if wants_prometheus(accept):
        return _exposed((yield from read(catalog, shares)), accept)
    return (yield from _as_json(catalog, inference, request.principal.rights))


def wants_prometheus(accept: str) -> bool:
    """Say whether an Accept header asks for Prometheus' format.

    Prometheus names the version of the text it wants. A bare text/plain counts only where JSON is not named: axios
    sends `application/json, text/plain, */*` with every request.
    """
    kinds = [re.sub(r"\s", "", kind).lower() for kind in accept.split(",")]
    if any(map(_VERSIONED_TEXT.match, kinds)):
        return True
    return any(map(_TEXT.match, kinds)) and not any(map(_JSON.match, kinds))


def _as_json(catalog: Snapshot, inference: Inference, rights: Rights) -> Conversation[Response]:
    found = yield from figures.of(sorted(catalog.streams))
    sample = yield from inference.metrics(catalog, now=time.time())
    shown = {
        name: {"name": name, **one.seen_by(rights, name).summary(catalog.streams[name])} for name, one in found.items()
    }
    return json_response({"total_streams": len(shown), "streams": shown, "inference_metrics": sample}, headers=_VARY)


def _exposed(reading: Reading, accept: str) -> Response:
    registry = CollectorRegistry()
    registry.register(Collector(reading))
    encode, content_type = choose_encoder(_understood(accept))
    return Response(body=encode(registry), content_type=content_type, headers=_VARY)


def _understood(accept: str) -> str:
    """Return the header without kinds whose version is no number: prometheus-client fails on them."""
    return ",".join(kind for kind in accept.split(",") if not _STRANGE_VERSION.search(kind))
