"""Sending metrics to a collector with OTLP over HTTP, from the same table as the answers to Prometheus."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample

from synapse.tracing import attributes as names
from synapse.tracing.otlp import describe_process

_SCOPE = InstrumentationScope(names.SYNAPSE)
_CUMULATIVE = AggregationTemporality.CUMULATIVE
# The start time of counters: counters in Redis are older than this process, and a point has the sum since then.
_SINCE_EVER = 0


def open_exporter(endpoint: str) -> Callable[[Iterable[Family], int], bool]:
    """Return a function that sends families of metrics with a time in nanoseconds since 1970, and returns whether the
    collector accepted them. `endpoint` is the URL, "" for the one that the SDK reads from the environment.
    """
    exporter = OTLPMetricExporter(endpoint=endpoint or None)
    resource = describe_process()

    def send(families: Iterable[Family], now_ns: int) -> bool:
        metrics = [metric for metric in (_convert_family(family, now_ns) for family in families) if metric is not None]
        scope = ScopeMetrics(_SCOPE, metrics, "")
        data = MetricsData([ResourceMetrics(resource, [scope], resource.schema_url)])
        return exporter.export(data) is MetricExportResult.SUCCESS

    return send


def _convert_family(family: Family, now_ns: int) -> Metric | None:
    """Convert a family to OTLP; None without samples. Counters keep their full name, with `_total`."""
    if not family.samples:
        return None
    data: Any
    if family.type == "histogram":
        data = Histogram(_histogram_points(family.samples, now_ns), _CUMULATIVE)
    elif family.type == "counter":
        data = Sum(_number_points(family.samples, now_ns), _CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(_number_points(family.samples, now_ns))
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return Metric(name, family.documentation, "s" if name.endswith("_seconds") else "", data)


def _number_points(samples: Iterable[Sample], now_ns: int) -> list[NumberDataPoint]:
    return [NumberDataPoint(sample.labels, _SINCE_EVER, now_ns, float(sample.value)) for sample in samples]


def _histogram_points(samples: Iterable[Sample], now_ns: int) -> list[HistogramDataPoint]:
    def labels(sample: Sample) -> dict[str, str]:
        return {name: text for name, text in sample.labels.items() if name != "le"}

    points = []
    # The samples of a point are consecutive: its buckets, their number, and the sum.
    for described, group in groupby(samples, key=labels):
        found = list(group)
        buckets = [sample for sample in found if sample.name.endswith("_bucket")]
        upto = [int(sample.value) for sample in buckets]
        points.append(
            HistogramDataPoint(
                attributes=described,
                start_time_unix_nano=_SINCE_EVER,
                time_unix_nano=now_ns,
                count=upto[-1],
                sum=next((sample.value for sample in found if sample.name.endswith("_sum")), 0.0),
                bucket_counts=[count - before for before, count in zip([0, *upto], upto, strict=False)],
                explicit_bounds=[float(sample.labels["le"]) for sample in buckets[:-1]],
                min=None,  # type: ignore[arg-type]  # optional in OTLP, and not counted
                max=None,  # type: ignore[arg-type]  # as above
            )
        )
    return points
