"""All declared endpoints, and the routes for the event loop and for Django that follow from them."""

from alerts.api import ENDPOINTS as ALERTS
from bridges.api import ENDPOINTS as BRIDGES
from streams.api import ENDPOINTS as STREAMS
from streams.api.routes import routes_of, urls_of
from synapse.endpoints import Endpoint
from synapse.http.exchange import Route

ENDPOINTS: tuple[Endpoint, ...] = (*STREAMS, *BRIDGES, *ALERTS)
ROUTES: tuple[Route, ...] = routes_of(ENDPOINTS)
urlpatterns = urls_of(ENDPOINTS)
