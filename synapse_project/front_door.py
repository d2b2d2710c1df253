"""The web server's application: the engine's, with this project's settings, and Django behind it."""

from collections.abc import Iterable

from synapse.http.exchange import Route
from synapse.server import asgi
from synapse_project.django_threads import DjangoLane
from synapse_project.lifespan import Lifespan
from synapse_project.server_config import server_config


class FrontDoor(asgi.FrontDoor):
    """Answers the routes on the event loop, and hands all other requests to Django."""

    django: DjangoLane

    def __init__(self, routes: Iterable[Route]) -> None:
        super().__init__(routes, config=server_config(), django=DjangoLane(), lifespan=Lifespan())
