"""Build the web server's application: the engine's routes with this project's settings, and Django elsewhere."""

from collections.abc import Iterable

from synapse.http.exchange import Route
from synapse.server import asgi
from synapse_project.django_threads import DjangoLane
from synapse_project.server_config import server_config
from synapse_project.web_server import Lifespan


class FrontDoor(asgi.FrontDoor):
    """Answers the routes on the event loop, and hands all other requests to Django."""

    django: DjangoLane

    def __init__(self, routes: Iterable[Route]) -> None:
        super().__init__(routes, config=server_config(), django=DjangoLane(), lifespan=Lifespan())
