"""The endpoints of bridges: the timeline of an event, groups, dead letters, and the pull protocol."""

from bridges.api import dead_letters, groups, pull, timeline
from synapse.endpoints import endpoints_of

ENDPOINTS = endpoints_of(timeline, groups, dead_letters, pull)
