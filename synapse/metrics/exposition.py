"""The response to a request for metrics."""

import platform
import re
import time
from collections.abc import Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from synapse.catalog.stream_definitions import Snapshot
from synapse.http.accept import MediaRange, form_of, media_ranges
from synapse.http.exchange import JSON, VARY_ACCEPT, Request, Response, json_response
from synapse.inspection.inference_summary import Inference
from synapse.inspection.stream_stats import stats_of
from synapse.metrics.collection import Reading, read_metrics
from synapse.metrics.definitions import METRICS
from synapse.redis import Conversation
from synapse.shares import Shares

_TEXT, _OPEN_METRICS = "text/plain", "application/openmetrics-text"
_FORMS = (JSON, _TEXT, _OPEN_METRICS)
# The versions of OpenMetrics that are available: prometheus-client would write another version's name over the same
# text.
_OPEN_METRICS_VERSIONS = ("", "1.0.0")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class Collector:
    """Passes a reading to prometheus-client (its interface for custom collectors)."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its samples."""
        return [metric.family(self._reading) for metric in METRICS]


def answer_metrics(
    request: Request, catalog: Snapshot, inference: Inference, shares: Sequence[Shares], version: str
) -> Conversation[Response]:
    """Answer `GET /metrics`: in Prometheus' own format when the Accept header names it, else in JSON."""
    accept = request.headers.get("accept", "")
    if (wanted := wanted_format(accept)) is not None:
        registry = CollectorRegistry()
        registry.register(Collector((yield from read_metrics(catalog, shares))))
        # Metrics of the answering process under Prometheus' own names: memory, processor time, descriptors and start.
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


def wanted_format(accept: str) -> str | None:
    """Return Prometheus' format that an Accept header prefers, as a media range; None when it prefers JSON.

    JSON is for clients that name neither of Prometheus' formats. A client that accepts only another version of
    OpenMetrics gets Prometheus' text.

    Raises:
        NotAcceptable: when the header refuses all formats.
    """
    ranges = media_ranges(accept)
    named = {each.name for each in ranges}
    wanted = sorted((each for each in ranges if each.quality), key=_sort_key)
    for each in wanted:
        for form in _FORMS:
            # A range with a wildcard is for the forms that no other range describes better (RFC 9110, 12.5.1).
            if each.name == form or (form not in named and each.name == _widest_of(form, named)):
                if form == JSON:
                    return None
                if form == _TEXT or _parameter_of(each, "version") in _OPEN_METRICS_VERSIONS:
                    return _as_prometheus_reads(form, each)
    if wanted and wanted[0].name == _OPEN_METRICS and _TEXT not in named:
        return _TEXT
    form = form_of(accept, _FORMS)
    return None if form == JSON else form


def _sort_key(given: MediaRange) -> tuple[float, int]:
    """Return the sort key of a range: highest quality first. With equal quality, Prometheus' own formats come first,
    then JSON, because axios sends `application/json, text/plain, */*` with every request.
    """
    if given.name == _OPEN_METRICS or (given.name == _TEXT and _parameter_of(given, "version")):
        return -given.quality, 0
    return -given.quality, {JSON: 1, _TEXT: 2}.get(given.name, 3)


def _widest_of(form: str, named: Collection[str]) -> str:
    """Return the wildcard range that matches a form most closely, of those in the header."""
    family = form.partition("/")[0] + "/*"
    return family if family in named else "*/*"


def _parameter_of(given: MediaRange, name: str) -> str:
    return next((value for key, value in given.parameters if key == name), "")


def _as_prometheus_reads(form: str, given: MediaRange) -> str:
    """Return a form with the version and the escaping that a range requests."""
    version, escaping = _parameter_of(given, "version"), _parameter_of(given, "escaping")
    texts = (f"version={version}" if _VERSION.fullmatch(version) else "", f"escaping={escaping}" if escaping else "")
    return ";".join([form, *filter(None, texts)])
