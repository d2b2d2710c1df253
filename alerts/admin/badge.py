"""The number of firing alerts, in the sidebar of each page."""

import time

from django.http import HttpRequest

from alerts import current
from synapse.redis.errors import RedisFailure

# The number is cached for this many seconds, because each page shows it. The evaluator runs every five seconds.
_FRESH = 5.0
_known: tuple[float, int] = (float("-inf"), 0)


def count(request: HttpRequest) -> int | None:
    """Return the number of firing alerts that are not silenced. None if it is zero or unknown, or if the person may not
    see rules.
    """
    global _known  # noqa: PLW0603 - a cache of the process
    if not request.user.has_perm("alerts.view_alertrule"):
        return None
    at, firing = _known
    if time.monotonic() - at > _FRESH:
        try:
            firing = current.count_firing()
        except RedisFailure:
            firing = 0
        _known = (time.monotonic(), firing)
    return firing or None
