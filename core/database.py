"""A lock of the database, and its connections in threads that serve no request.

All processes share the lock, and hold it while they create the tables or the first user. On PostgreSQL it is an
advisory lock of the session, for SQLite a lock on a file beside the database. Both are released when their holder ends,
also when it is killed.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from synapse.runtime import private_files

# Tells this lock from those of other programs in the same database: "synapse" in ASCII.
KEY = int.from_bytes(b"synapse", "big")
POLL = 0.1

Release = Callable[[], object]


@contextmanager
def locked(say: Callable[[str], None] = lambda _: None, *, database: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Hold the lock during the block. Wait for another holder, after one line through `say`. It is not reentrant."""
    connection = connections[database]
    told = False
    while (release := _take(connection)) is None:
        if not told:
            say("Another process prepares the database; waiting for it.")
            told = True
        time.sleep(POLL)
    try:
        yield
    finally:
        release()


def _take(connection: BaseDatabaseWrapper) -> Release | None:
    """Take the lock and return the function that releases it; None when another process has it."""
    if connection.vendor == "postgresql":
        # Polled: a statement that waits would block migrations, which wait for all other statements.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [KEY])
            taken = cursor.fetchone()[0]
        return (lambda: _release(connection)) if taken else None
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or "mode=memory" in name or name == ":memory:":
        return lambda: None
    path = Path(name)
    descriptor = private_files.take_lock(path.with_name(path.name + ".lock"))
    return None if descriptor is None else (lambda: os.close(descriptor))


def _release(connection: BaseDatabaseWrapper) -> None:
    # PostgreSQL released it already if the connection broke.
    if connection.is_usable():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [KEY])


@contextmanager
def checked_connections() -> Iterator[None]:
    """Close this thread's connections that are broken or too old, before its work and after it.

    Django does it around each request. One that was left open would be open for as long as the thread is there.
    """
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def close_stale_connections() -> None:
    """Close this thread's database connections that are broken or too old, except inside a transaction.

    Django does it around each request; threads without requests have to do it.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
