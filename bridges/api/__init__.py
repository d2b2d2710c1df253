"""The endpoints of bridges: acting on groups and on dead letters, and the pull protocol."""

from bridges.api import dead_letters, groups, pull
from synapse.endpoints import endpoints_of

ENDPOINTS = endpoints_of(groups, dead_letters, pull)
