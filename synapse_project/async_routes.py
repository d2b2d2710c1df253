"""The front door's table: what is answered on the event loop. All else is Django's."""

from bridges.api import async_routes as bridges
from streams.api import async_routes as streams
from synapse.http.exchange import Route

ROUTES: tuple[Route, ...] = (*streams.ROUTES, *bridges.ROUTES)
