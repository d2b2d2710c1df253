"""The database of all apps: its availability, its lock, and the connections of threads.

Django maps the errors of every database to PEP 249's classes, which do not distinguish an unavailable database from a
bad query: in SQLite, a lock and a missing column have the same class. So the database's own error code decides where
there is one.

The lock is shared by all processes and held while one creates the tables or the first user. On PostgreSQL it is an
advisory lock of the session, for SQLite a lock on a file next to the database. Both are released when their holder
ends, even if it is killed.
"""

import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from synapse.problems import DatabaseDown
from synapse.runtime import private_files
from synapse.runtime.backoff import Backoff
from synapse.runtime.repeated_failures import RepeatedFailures


class SystemUnavailable(Exception):
    """A required system does not answer; the message states the symptom."""


def wait_for(
    what: str, ask: Callable[[], None], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Call `ask` until it does not raise `SystemUnavailable`. Wait longer after each failure, and report it through
    `say`.
    """
    for wait in map(Backoff().delay, itertools.count(1)):
        try:
            ask()
        except SystemUnavailable as error:
            say(f"waiting for {what} ({error}), next try in {wait:g} s")
            sleep(wait)
        else:
            return


def wait_for_database(say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until the database accepts a connection. For SQLite return at once: it has no server that could be
    starting.
    """
    if connection.vendor == "sqlite":
        return

    def ask() -> None:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise SystemUnavailable(reason_of(error)) from error

    wait_for(database_name(), ask, say, sleep)


def database_name() -> str:
    """Return the database's address for messages, without the password."""
    if connection.vendor == "sqlite":
        return "the database"
    place = connection.settings_dict
    return f"the database at {place['HOST'] or 'localhost'}:{place['PORT'] or 5432}"


def reason_of(error: BaseException) -> str:
    """Return the operating system's message at the root of an error; if there is none, the first line of the error
    itself.
    """
    bottom: BaseException | None = error
    while bottom is not None:
        if isinstance(bottom, OSError) and bottom.strerror:
            return bottom.strerror.lower()
        bottom = bottom.__cause__ or bottom.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]


logger = logging.getLogger(__name__)

# Primary result codes (https://sqlite.org/rescode.html), the low eight bits of extended ones.
_SQLITE_AWAY = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    )
)
# PostgreSQL's code for a transaction that cannot write: the server is a standby, or was set to read-only.
_READ_ONLY = "25006"
# undefined_table and undefined_column
_UNDEFINED = ("42P01", "42703")
# A persistent error is logged once a minute, not for each request.
_failures = RepeatedFailures(silence=60.0)


def lacks_tables(error: BaseException | None) -> bool:
    """Say whether an error means that migrations were not applied: a table or column is missing."""
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, sqlite3.OperationalError):
        return str(cause).startswith(("no such table", "no such column"))
    return getattr(cause, "sqlstate", None) in _UNDEFINED


def database_problem(error: BaseException | None) -> DatabaseDown | None:
    """Return the problem to answer when an error means that the database is unavailable, None for any other error."""
    if not is_database_away(error):
        return None
    text = " ".join(str(error).split())
    if _failures.is_new(text):
        logger.warning("the database cannot be used: %s", text)
    return DatabaseDown()


def is_database_away(error: BaseException | None) -> bool:
    """Say whether an error means that the database is unavailable."""
    if not isinstance(error, Error):
        return False
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_AWAY
    return isinstance(error, OperationalError | InterfaceError) or getattr(cause, "sqlstate", None) == _READ_ONLY


# Distinguishes this lock from those of other programs in the same database: "synapse" in ASCII.
KEY = int.from_bytes(b"synapse", "big")
POLL = 0.1

Release = Callable[[], object]


@contextmanager
def hold_lock(say: Callable[[str], None] = lambda _: None, *, database: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Hold the lock during the block. If another process holds it, report that once through `say` and wait. Not
    reentrant.
    """
    connection = connections[database]
    told = False
    while (release := _try_lock(connection)) is None:
        if not told:
            say("Another process prepares the database; waiting for it.")
            told = True
        time.sleep(POLL)
    try:
        yield
    finally:
        release()


def _try_lock(connection: BaseDatabaseWrapper) -> Release | None:
    """Take the lock and return the function that releases it; None if another process holds it."""
    if connection.vendor == "postgresql":
        # Polled, because a statement that waits for the lock would block migrations, which wait for all other
        # statements.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [KEY])
            taken = cursor.fetchone()[0]
        return (lambda: _release_advisory_lock(connection)) if taken else None
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or "mode=memory" in name or name == ":memory:":
        return lambda: None
    path = Path(name)
    descriptor = private_files.take_lock(path.with_name(path.name + ".lock"))
    return None if descriptor is None else (lambda: os.close(descriptor))


def _release_advisory_lock(connection: BaseDatabaseWrapper) -> None:
    # If the connection broke, PostgreSQL has released the lock already.
    if connection.is_usable():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [KEY])


@contextmanager
def checked_connections() -> Iterator[None]:
    """Close this thread's connections that are broken or too old, before and after the block.

    Django does this around each request. Without it, a connection would stay open as long as its thread.
    """
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def close_stale_connections() -> None:
    """Close this thread's database connections that are broken or too old, except inside a transaction.

    Django does this around each request; threads without requests have to call it.
    """
    for each in connections.all(initialized_only=True):
        if not each.in_atomic_block:
            each.close_if_unusable_or_obsolete()
