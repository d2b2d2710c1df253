"""The number of alerts that fire, in the sidebar of each page."""

import time

from django.http import HttpRequest

from alerts import current
from synapse.redis.errors import RedisFailure

# The number is cached for this many seconds, since each page shows it; the evaluator runs every five.
_FRESH = 5.0
_known: tuple[float, int] = (float("-inf"), 0)


def count(request: HttpRequest) -> int | None:
    """Return how many alerts fire and are not silenced; None when there are none, or the number is unknown. Everyone
    with the permission to see rules may know the number.
    """
    global _known  # noqa: PLW0603 - one value of the process
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
