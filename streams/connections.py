"""The process's connections to Redis, made from Django's settings when first needed."""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from streams.broker import AsyncExecutor, Server, SyncExecutor
from streams.tally import Tally

tally = Tally()


def server() -> Server:
    """Return where the events live; the project's settings say how that is found out."""
    return Server(locate=import_string(settings.REDIS_LOCATOR), timeout=settings.REDIS_TIMEOUT)


@cache
def executor() -> SyncExecutor:
    """Return the executor of this process's threads."""
    return SyncExecutor(server())


@cache
def async_executor() -> AsyncExecutor:
    """Return the executor of this process's event loop."""
    return AsyncExecutor(server())


def blocking_executor(seconds: float) -> SyncExecutor:
    """Return an executor of its own for reads that block up to `seconds`: a dead socket is noticed 5 s later."""
    return SyncExecutor(server(), timeout=seconds + 5)
