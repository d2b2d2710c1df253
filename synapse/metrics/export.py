"""Sending the metrics to a collector: the one process that holds the lease does it."""

import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import Metric

from synapse.catalog.stream_definitions import Snapshot
from synapse.metrics.collection import read_metrics
from synapse.metrics.definitions import METRICS
from synapse.redis import SyncExecutor, keyspace, value
from synapse.redis.lease import Lease
from synapse.shares import Shares

# A killed exporter is replaced when its lease ends. The lease is longer than the timeout of a collector
# (OTEL_EXPORTER_OTLP_TIMEOUT, 10 s): otherwise a slow collector would make all processes wait in turn.
LEASE_MS = 30_000


class MetricsNotTaken(Exception):
    """The collector did not accept the metrics."""


class MetricsExport:
    """Exports all metrics, of the whole installation and of this process, in fixed intervals.

    Args:
        executor: returns the connection to Redis.
        catalog: returns the current catalog.
        shares: returns the counters of this process.
        send: sends the metrics with the time in nanoseconds since 1970, and returns whether the collector accepted
            them.
        seconds: the interval of exports.
        clock: the time in seconds.
    """

    def __init__(
        self,
        executor: Callable[[], SyncExecutor],
        catalog: Callable[[], Snapshot],
        shares: Callable[[], Sequence[Shares]],
        send: Callable[[Iterable[Metric], int], bool],
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._catalog = catalog
        self._shares = shares
        self._send = send
        self._seconds = seconds
        self._clock = clock
        self._lease = Lease(keyspace.METRICS_LEASE, ttl_ms=LEASE_MS)
        self._due = float("-inf")

    def step(self) -> bool:
        """Export the metrics if they are due. Return whether this process is the one that exports.

        Raises:
            MetricsNotTaken: when the collector does not accept them.
            RedisUnavailable: when Redis cannot be used.
            ReplyError: when Redis refuses the lease.
        """
        (held,) = self._executor().execute([self._lease.hold()])
        if not value(held):
            return False
        now = self._clock()
        if now >= self._due:
            self._due = now + self._seconds
            reading = self._executor().run(read_metrics(self._catalog(), self._shares()))
            if not self._send([metric.family(reading) for metric in METRICS], time.time_ns()):
                raise MetricsNotTaken("the collector did not take the metrics; the next ones are sent nevertheless")
        return True
