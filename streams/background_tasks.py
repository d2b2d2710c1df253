"""Background tasks of long-running processes, such as following the catalog, flushing counters and trimming streams."""

import os
import socket
import time

from django.db import close_old_connections

from core import logins
from streams import connections, kept_snapshot, tracing
from streams.access import identification
from streams.connections import tails
from streams.snapshot import POLL_SECONDS, holder
from synapse.correlation.indexer import Indexer
from synapse.live.tail_registry import ViewerReports
from synapse.redis.server_checks import ServerCheck
from synapse.retention.janitor import Janitor
from synapse.retention.stream_creation import StreamCreator
from synapse.runtime.periodic import Periodic
from synapse.statistics.sampler import Sampler


def follow_catalog() -> None:
    """Load the catalog when other processes changed it, and write the copy for starts without the database."""
    close_old_connections()
    kept_snapshot.file.keep(holder.refresh())


def flush_counters() -> None:
    """Add this process's counters to those in Redis."""
    connections.executor().run(connections.counters.flush())
    connections.executor().run(connections.counters.refusals.flush())


def report_viewers() -> None:
    """Report how many viewers this process serves."""
    connections.executor().run(_viewer_reports.report(tails().watching(), now_ms=int(time.time() * 1000)))


def delete_old_failures() -> None:
    """Delete expired records of failed log-ins, and old audit entries about log-ins."""
    close_old_connections()
    logins.delete_expired_attempts()
    logins.delete_old_entries()


_viewer_reports = ViewerReports(f"{socket.gethostname()}:{os.getpid()}")

WORK = (
    Periodic("catalog", POLL_SECONDS, follow_catalog),
    Periodic("counters", 1.0, flush_counters),
    Periodic("viewers", 1.0, report_viewers),
    Periodic("use of keys", identification.WRITE_INTERVAL, identification.write_last_uses),
    Periodic("streams", 0.5, StreamCreator(connections.executor, holder.current).step),
    Periodic("janitor", 1.0, Janitor(connections.executor, lambda: holder.current().streams).step),
    Periodic("statistics", 1.0, Sampler(connections.executor, lambda: holder.current().streams).step),
    Periodic("index", 1.0, Indexer(connections.executor, lambda: holder.current().streams, connections.digests).step),
    Periodic("failed log-ins", 3600.0, delete_old_failures),
    Periodic("server check", 60.0, ServerCheck(connections.executor).step),
)


def start() -> None:
    """Start all background tasks, each in its own thread, and tracing."""
    tracing.start()
    for work in WORK:
        work.start()


def stop() -> None:
    """Stop all background tasks, flushing the counters and the times of keys' last use once more."""
    for work in WORK:
        work.stop()
    tracing.stop()
    Periodic("counters", 1.0, flush_counters).run_step()
    Periodic("use of keys", identification.WRITE_INTERVAL, identification.write_last_uses).run_step()
