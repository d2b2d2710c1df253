"""The database as workers use it that live for months."""

from django.db import connections


def close_stale_connections() -> None:
    """Close this thread's connections that are broken or too old, but for one in the middle of a transaction.

    Django does it around each request; whoever works without requests has to do it.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
