"""What bridges say of themselves, kept in Redis where the admin reads it.

A bridge whose status stays the same is not reported every second: its process says once a second that it lives.
"""

import time
from collections.abc import Callable, Sequence

from bridges.runtime.supervisor import Report
from synapse.delivery import membership
from synapse.delivery.bridge_stats import FRESH_MS
from synapse.delivery.status import Status, pack
from synapse.errors.streams import Unavailable
from synapse.redis import SyncExecutor
from synapse.redis.commands import consumer_status as consumer_status_commands

KEEP_MS = 60_000
# When a report that stayed the same is repeated, in seconds: before Redis forgets it.
REPEAT_EVERY = 30.0


def reporter(
    executor: Callable[[], SyncExecutor], clock: Callable[[], float] = time.monotonic
) -> Callable[[Sequence[Report]], None]:
    """Return a function that notes reports. What Redis does not take while it is away follows in a second.

    `clock` gives seconds.
    """
    told: dict[tuple[str, str, str], tuple[Status, float]] = {}

    def note(found: Sequence[Report]) -> None:
        now = clock()
        asked = [consumer_status_commands.beat(membership.process(), keep_ms=FRESH_MS)]
        for one in found:
            place = (one.bridge.stream, one.bridge.group, one.consumer)
            last = told.pop(place, None)
            if one.status is None:
                asked.append(consumer_status_commands.withdraw(*place))
            elif last and last[0] == one.status and now - last[1] < REPEAT_EVERY:
                told[place] = last
            else:
                asked.append(consumer_status_commands.report(*place, pack(one.status), keep_ms=KEEP_MS))
                told[place] = (one.status, now)
        try:
            executor().execute(asked)
        except Unavailable:
            told.clear()

    return note
