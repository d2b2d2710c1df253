"""A lock shared by all processes on one database, held while they create its tables or its first user.

On PostgreSQL it is an advisory lock of the session, for SQLite a lock on a file beside the database. Both are released
when their holder ends, also when it is killed.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from synapse.runtime import private_files

# Tells this lock from those of other programs in the same database: "synapse" in ASCII.
KEY = int.from_bytes(b"synapse", "big")
POLL = 0.1

Release = Callable[[], object]


@contextlib.contextmanager
def held(say: Callable[[str], None] = lambda _: None, *, database: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
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
