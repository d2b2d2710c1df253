"""Database connections of threads that serve no request of Django's."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import close_old_connections


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
