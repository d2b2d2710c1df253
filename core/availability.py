"""Waiting at the start of a program until what it needs answers."""

import itertools
import time
from collections.abc import Callable

from django.db import OperationalError, connection

from synapse.runtime.backoff import Backoff


class NotThere(Exception):
    """Something that a program needs does not answer; the message says how that showed."""


def wait_for(
    what: str, ask: Callable[[], None], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Call `ask` until it does not raise `NotThere`, with longer and longer waits and a line for each."""
    for wait in map(Backoff().delay, itertools.count(1)):
        try:
            ask()
        except NotThere as error:
            say(f"waiting for {what} ({error}), next try in {wait:g} s")
            sleep(wait)
        else:
            return


def wait_for_database(say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until the database accepts a connection. SQLite always does, or never will."""
    if connection.vendor == "sqlite":
        return

    def ask() -> None:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise NotThere(reason_of(error)) from error

    wait_for(database_name(), ask, say, sleep)


def database_name() -> str:
    """Return how a person reads of the database: with its address, without its password."""
    if connection.vendor == "sqlite":
        return "the database"
    place = connection.settings_dict
    return f"the database at {place['HOST'] or 'localhost'}:{place['PORT'] or 5432}"


def reason_of(error: BaseException) -> str:
    """Return the operating system's word for what went wrong, if it is at the bottom of an error, in one line."""
    bottom: BaseException | None = error
    while bottom is not None:
        if isinstance(bottom, OSError) and bottom.strerror:
            return bottom.strerror.lower()
        bottom = bottom.__cause__ or bottom.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]
