"""Which errors of the database mean that it cannot be used now, in place of a mistake in what it was asked.

Django gives the errors of every database PEP 249's classes, which do not tell the two apart: of SQLite, a lock and a
missing column have the same one. So the database's own code is looked at where there is one.
"""

import logging
import sqlite3
import time

from django.db import Error, InterfaceError, OperationalError

from synapse.problems import DatabaseDown

logger = logging.getLogger(__name__)

# Primary result codes (https://sqlite.org/rescode.html); extended ones have them in their last eight bits.
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
# PostgreSQL's for a transaction that cannot write: a standby, or a server that was made read-only.
_READ_ONLY = "25006"
_LOG_AGAIN_SECONDS = 60.0


class _Log:
    """Writes what the database said: not for each request, but when it is another error, and once a minute."""

    def __init__(self) -> None:
        self._text, self._until = "", 0.0

    def write(self, text: str) -> None:
        now = time.monotonic()
        if text != self._text or now >= self._until:
            self._text, self._until = text, now + _LOG_AGAIN_SECONDS
            logger.warning("the database cannot be used: %s", text)


_log = _Log()


def as_problem(error: BaseException | None) -> DatabaseDown | None:
    """Return what to answer to an error that says that the database cannot be used now, None for any other error."""
    if not is_away(error):
        return None
    _log.write(" ".join(str(error).split()))
    return DatabaseDown()


def is_away(error: BaseException | None) -> bool:
    """Say whether an error means that the database cannot be used now."""
    if not isinstance(error, Error):
        return False
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_AWAY
    return isinstance(error, OperationalError | InterfaceError) or getattr(cause, "sqlstate", None) == _READ_ONLY
