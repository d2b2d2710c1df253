"""The front door's table: what is answered on the event loop. All else is Django's."""

from bridges import lane as bridges
from core.http import Route
from streams import lane as streams

ROUTES: tuple[Route, ...] = (*streams.ROUTES, *bridges.ROUTES)
