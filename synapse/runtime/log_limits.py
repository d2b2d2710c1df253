"""How much the log says of requests that were refused: anybody who reaches the port can make such records."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

_LOGGERS = ("django.request", "django.security", "uvicorn")
_SECONDS = 10.0


class _Kind(NamedTuple):
    """What records have in common that are counted together."""

    logger: str
    what: object


class SummedRefusals(logging.Filter):
    """Lets one warning of a kind through in ten seconds; the next one says how many were left out.

    A kind is a logger and a status; without a status, a logger and a message. Errors, and warnings that no request
    makes, all pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        # When a record of the kind may pass again, and how many did not since the last one that did.
        self._kinds: dict[_Kind, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or not record.name.startswith(_LOGGERS):
            return True
        kind = _Kind(record.name, getattr(record, "status_code", record.msg))
        with self._lock:
            now = self._clock()
            passes_at, left_out = self._kinds.get(kind, (now, 0))
            passes = now >= passes_at
            self._kinds[kind] = (now + _SECONDS, 0) if passes else (passes_at, left_out + 1)
        if passes and left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like it since the last line)", ()
        return passes
