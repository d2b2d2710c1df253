"""The endpoints of streams. The engine declares those that need no database, this package the others."""

from streams.api import audit, contracts, explorer, find, keys, live, operations, publish
from synapse.endpoints import endpoints_of
from synapse.explorer import search
from synapse.inspection import groups, messages, refusals
from synapse.inspection import streams as inspected
from synapse.statistics import query as statistics

ENDPOINTS = endpoints_of(
    *(publish, search, explorer, find, inspected, messages, refusals, groups, live),
    *(contracts, audit, keys, statistics, operations),
)
