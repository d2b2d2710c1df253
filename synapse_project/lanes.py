"""The front door's table: what is answered on the event loop. All else is Django's."""

from bridges import lane as bridges
from streams import lane as streams
from synapse.http.exchange import Route

ROUTES: tuple[Route, ...] = (*streams.ROUTES, *bridges.ROUTES)
