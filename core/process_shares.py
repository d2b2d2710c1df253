"""The counters of this process. Each process has shares of its own: its connections and its memory are its own, too."""

from functools import cache

from django.conf import settings

from synapse.shares.counter import Limits, Shares, limits
from synapse.shares.resources import RESOURCES, Resource


@cache
def shares_of(name: str) -> Shares:
    """Return the counter of a resource, by its name in the table."""
    resource = RESOURCES[name]
    return Shares(resource, limits_of(resource))


def all_shares() -> list[Shares]:
    """Return the counters of all resources, for the metrics."""
    return [shares_of(name) for name in RESOURCES]


def limits_of(resource: Resource) -> Limits:
    """Return the limits of a resource by the settings."""
    total = getattr(settings, resource.attribute) * resource.unit
    percents = settings.SHARES.get(resource.name, resource.percents)
    return limits(total, percents, is_open=settings.AUTH == "open")
