"""What every long-running process does beside its work: follow the catalog, flush its counters, keep the streams in
bounds."""

from django.db import close_old_connections

from core.periodic import Periodic
from streams import connections
from streams.snapshot import POLL_SECONDS, holder


def follow_catalog() -> None:
    """See the changes that other processes made to the catalog."""
    close_old_connections()
    holder.refresh()


def flush_tally() -> None:
    """Add this process's counters to those in Redis."""
    if counted := connections.tally.flush():
        connections.executor().execute(counted)


WORK = (
    Periodic("catalog", POLL_SECONDS, follow_catalog),
    Periodic("counters", 1.0, flush_tally),
)


def start() -> None:
    """Start all of it, each in a thread of its own."""
    for work in WORK:
        work.start()


def stop() -> None:
    """End all of it; the counters are flushed a last time."""
    for work in WORK:
        work.stop()
    Periodic("counters", 1.0, flush_tally).turn()
