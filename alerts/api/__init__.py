"""The endpoints of alerts."""

from alerts.api import alerts, silences
from synapse.endpoints import endpoints_of

ENDPOINTS = endpoints_of(alerts, silences)
