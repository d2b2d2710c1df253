"""The metrics go to a collector from the table that Prometheus is answered from, by one process at a time."""

import pytest

from streams import connections
from streams.snapshot import holder
from synapse.metrics.definitions import METRICS
from synapse.metrics.export import MetricsExport, MetricsNotTaken
from synapse.redis import keyspace
from synapse.tracing.otlp_metrics import open_exporter
from tests.tracing.collector import attributes_of


@pytest.fixture
def export(collector, define, redis):
    """Make an export to the collector; `clock` is a list with the time."""
    define("orders")

    def make(clock):
        return MetricsExport(
            connections.executor,
            holder.current,
            connections.all_shares,
            open_exporter(f"{collector.url}/v1/metrics"),
            seconds=60,
            clock=lambda: clock[0],
        )

    return make


def test_a_collector_gets_every_metric_with_the_values_that_prometheus_gets(collector, export, redis):
    connections.counters.add("orders", "published", 7)
    connections.counters.observe("orders", "publish", 0.0004, times=3)
    connections.counters.observe("orders", "publish", 100.0)
    connections.executor().run(connections.counters.flush())

    assert export([0.0]).step() is True

    got = {metric.name: metric for metric in collector.metrics}
    assert set(got) <= {metric.name for metric in METRICS}
    (published,) = got["synapse_events_published_total"].sum.data_points
    assert (attributes_of(published), published.as_double) == ({"stream": "orders"}, 7)
    assert got["synapse_events_published_total"].sum.is_monotonic
    assert got["synapse_stream_events"].gauge.data_points[0].as_double == 0
    (durations,) = got["synapse_publish_seconds"].histogram.data_points
    assert attributes_of(durations) == {"stream": "orders"}
    assert (durations.count, durations.bucket_counts[1], durations.bucket_counts[-1]) == (4, 3, 1)
    assert len(durations.bucket_counts) == len(durations.explicit_bounds) + 1
    assert durations.sum == pytest.approx(100.0012)


def test_metrics_are_sent_once_in_an_interval(collector, export):
    clock = [0.0]
    exporting = export(clock)

    counts = []
    for clock[0] in (0.0, 59.0, 60.0):
        exporting.step()
        counts.append(sum(metric.name == "synapse_stream_events" for metric in collector.metrics))

    assert counts == [1, 1, 2]


def test_a_single_process_at_a_time_sends_the_metrics(collector, export, redis):
    first, second = export([0.0]), export([0.0])

    assert (first.step(), second.step()) == (True, False)
    redis.delete(keyspace.METRICS_LEASE)
    assert second.step() is True


def test_metrics_that_a_collector_refuses_are_an_error_that_the_log_has(collector, export):
    collector.status = 400
    clock = [0.0]
    exporting = export(clock)

    with pytest.raises(MetricsNotTaken):
        exporting.step()
    clock[0], collector.status = 60.0, 200

    assert exporting.step() is True
