"""The endpoints of bridges: acting on groups and on dead letters, and the pull protocol."""

from bridges.api import groups, pull
from bridges.api.dead_letters import actions, queries
from synapse.endpoints import endpoints_of

ENDPOINTS = endpoints_of(groups, queries, actions, pull)
