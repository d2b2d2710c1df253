"""What bridges say of themselves, kept in Redis where the admin reads it."""

from collections.abc import Callable, Sequence

from bridges.runtime.supervisor import Report
from bridges.status import pack
from streams.broker import SyncExecutor, reports
from streams.errors import Unavailable

KEEP_MS = 60_000


def reporter(executor: Callable[[], SyncExecutor]) -> Callable[[Sequence[Report]], None]:
    """Return what notes reports. While Redis is away there is nobody to tell; the next report follows in a second."""

    def note(found: Sequence[Report]) -> None:
        asked = []
        for one in found:
            place = (one.bridge.stream, one.bridge.group, one.consumer)
            if one.status is None:
                asked.append(reports.withdraw(*place))
            else:
                asked.append(reports.report(*place, pack(one.status), keep_ms=KEEP_MS))
        try:
            if asked:
                executor().execute(asked)
        except Unavailable:
            return

    return note
