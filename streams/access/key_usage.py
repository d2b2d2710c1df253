"""When each key was last used: noted in memory with each request, written to the database now and then."""

import time
from datetime import UTC, datetime, timedelta

from django.db import close_old_connections
from django.db.models import Q

from streams.models import Key

# No key's row is written more often than this, in seconds, by all processes together.
EVERY = 60.0

# Holds no more keys than there are: only those that were found to be good are noted.
_used: dict[str, float] = {}


def note(key_id: str) -> None:
    """Note that a key is used now."""
    _used[key_id] = time.time()


def flush() -> None:
    """Write what was noted. It changes nothing of the catalog, so no process is told."""
    if not _used:
        return
    close_old_connections()
    for key_id in list(_used):
        moment = datetime.fromtimestamp(_used.pop(key_id), UTC)
        is_due = Q(last_used_at=None) | Q(last_used_at__lte=moment - timedelta(seconds=EVERY - 1))
        Key.objects.filter(is_due, key_id=key_id).update(last_used_at=moment)


def forget() -> None:
    """Drop what was noted and not written."""
    _used.clear()
