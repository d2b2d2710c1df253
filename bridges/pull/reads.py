"""When each group was last read: noted in memory with each read, written to the database now and then."""

import time
from datetime import UTC, datetime, timedelta

from bridges.models import OpenedGroup

# No group's row is written more often than this, by all processes together: what expires does so after days.
_WRITE_EVERY = timedelta(hours=12)

# When each group was read last through this process, and is not written yet. Only groups that are there are noted.
_read: dict[tuple[str, str], float] = {}


def note(stream: str, group: str) -> None:
    """Note that a group is read now."""
    _read[stream, group] = time.time()


def flush() -> None:
    """Write when groups were read. It changes nothing of the catalog, so no process is told."""
    for place in list(_read):
        moment = datetime.fromtimestamp(_read.pop(place), UTC)
        rows = OpenedGroup.objects.filter(bridge__stream__name=place[0], bridge__group=place[1])
        rows.filter(read_at__lt=moment - _WRITE_EVERY).update(read_at=moment)
