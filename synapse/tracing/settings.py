"""Turning tracing on and off by the settings. OpenTelemetry is imported here, and only when the settings ask for it."""

from collections.abc import Callable
from dataclasses import dataclass

from synapse.tracing import switch
from synapse.tracing.sampler import Sampler
from synapse.tracing.tracer import Tracer

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """The traces and metrics that are exported, and their collector.

    Attributes:
        exports_traces, exports_metrics: whether spans and metrics are sent.
        endpoint: the collector's base URL, "" for the default of OpenTelemetry.
        traces_endpoint, metrics_endpoint: the full URL of each, "" for the one below `endpoint`.
        sampler: one of `SAMPLERS`.
        ratio: from 0 to 1, for the ratio samplers.
        metrics_seconds: the time between two exports of the metrics.
    """

    exports_traces: bool = False
    exports_metrics: bool = False
    endpoint: str = ""
    traces_endpoint: str = ""
    metrics_endpoint: str = ""
    sampler: str = "parentbased_always_on"
    ratio: float = 1.0
    metrics_seconds: float = 60.0

    def url_of(self, signal: str) -> str:
        """Return the URL of `traces` or `metrics`, "" for the default of OpenTelemetry."""
        whole: str = getattr(self, f"{signal}_endpoint")
        return whole or (f"{self.endpoint.rstrip('/')}/v1/{signal}" if self.endpoint else "")


def sampler_of(settings: TraceSettings) -> Sampler:
    """Return the sampler that the settings name."""
    kind = settings.sampler.removeprefix("parentbased_")
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind, settings.ratio)
    return Sampler(ratio, heeds_callers=settings.sampler != kind)


def start(settings: TraceSettings, dropped: Callable[[str, int], None]) -> Callable[[], None]:
    """Turn tracing on, if the settings ask for it. Return the function that sends the waiting spans and turns tracing
    off.

    Args:
        settings: the traces to export, and their collector.
        dropped: the callback with a stream and the number of its spans that were not sent.
    """
    if not settings.exports_traces:
        return switch.turn_off
    from synapse.tracing import otlp  # noqa: PLC0415 - the SDK is loaded only when tracing is on

    queue = otlp.open_queue(settings.url_of("traces"), dropped)
    switch.turn_on(Tracer(sampler_of(settings), queue.put))

    def stop() -> None:
        switch.turn_off()
        queue.close()

    return stop
