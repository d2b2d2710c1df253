"""The response to a request for metrics."""

import platform
import re
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from synapse.catalog.stream_definitions import Snapshot
from synapse.http.exchange import JSON, VARY_ACCEPT, Request, Response, json_response
from synapse.inspection.inference_summary import Inference
from synapse.inspection.stream_stats import stats_of
from synapse.metrics.collection import Reading, read
from synapse.metrics.definitions import METRICS
from synapse.redis import Conversation
from synapse.shares import Shares

_TEXT, _OPEN_METRICS = "text/plain", "application/openmetrics-text"
# The versions of OpenMetrics that are written: prometheus-client would write another version's name over the same text.
_OPEN_METRICS_VERSIONS = ("", "1.0.0")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_QUALITY = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")


class Collector:
    """Hands a reading to prometheus-client (its interface for custom collectors)."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its samples."""
        return [metric.family(self._reading) for metric in METRICS]


def metrics(
    request: Request, catalog: Snapshot, inference: Inference, shares: Sequence[Shares], version: str
) -> Conversation[Response]:
    """Answer `GET /metrics`: in Prometheus' own format when the Accept header names it, else in JSON."""
    accept = request.headers.get("accept", "")
    if (wanted := wanted_format(accept)) is not None:
        registry = CollectorRegistry()
        registry.register(Collector((yield from read(catalog, shares))))
        # Of the process that answers: memory, processor time, descriptors and start, under Prometheus' own names.
        ProcessCollector(registry=registry)
        build = Gauge(
            "synapse_build_info", "1, with Synapse's version and Python's.", ["version", "python"], registry=registry
        )
        build.labels(version, platform.python_version()).set(1)
        encode, content_type = choose_encoder(wanted)
        return Response(body=encode(registry), content_type=content_type, headers=VARY_ACCEPT)
    found = yield from stats_of(sorted(catalog.streams))
    sample = yield from inference.metrics(catalog, now=time.time())
    rights = request.principal.rights
    shown = {
        name: {"name": name, **one.seen_by(rights, name).summary(catalog.streams[name])} for name, one in found.items()
    }
    return json_response(
        {"total_streams": len(shown), "streams": shown, "inference_metrics": sample}, headers=VARY_ACCEPT
    )


class _Range(NamedTuple):
    """One media range of an Accept header (RFC 9110, 12.5.1), with its version and escaping; "" without them."""

    kind: str
    version: str
    escaping: str
    quality: float

    def rank(self) -> tuple[float, int]:
        """The sort key of a range: highest quality first. Of equal ones Prometheus' own formats, then JSON: axios sends
        `application/json, text/plain, */*` with every request."""
        if self.kind == _OPEN_METRICS or (self.kind == _TEXT and self.version):
            return -self.quality, 0
        return -self.quality, {JSON: 1, _TEXT: 2}.get(self.kind, 3)

    def named(self) -> str:
        """Return the range as prometheus-client reads it."""
        texts = (f"version={self.version}" if _VERSION.fullmatch(self.version) else "", self.escaping)
        return ";".join([self.kind, *filter(None, texts)])


def wanted_format(accept: str) -> str | None:
    """Return Prometheus' format that an Accept header prefers, as a media range; None when it prefers JSON.

    JSON is for clients that name neither. Other versions of OpenMetrics are not available; a client that accepts
    nothing else gets Prometheus' text.
    """
    ranges = sorted((each for each in map(_range, accept.lower().split(",")) if each.quality), key=_Range.rank)
    for each in ranges:
        if each.kind in (_TEXT, "text/*"):
            return each._replace(kind=_TEXT).named()
        if each.kind == _OPEN_METRICS and each.version in _OPEN_METRICS_VERSIONS:
            return each.named()
        if each.kind in (JSON, "application/*", "*/*"):
            break
    return _TEXT if ranges and ranges[0].kind == _OPEN_METRICS else None


def _range(text: str) -> _Range:
    kind, *parts = (part.strip() for part in text.split(";"))
    given = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in parts)}
    quality = given.get("q", "1")
    return _Range(
        kind=kind,
        version=given.get("version", ""),
        escaping=f"escaping={given['escaping']}" if "escaping" in given else "",
        quality=float(quality) if _QUALITY.fullmatch(quality) else 1.0,
    )
