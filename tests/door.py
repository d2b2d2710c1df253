"""A front door whose configuration follows the settings, which tests change while it stands."""

from typing import Any

from synapse.server.config import ServerConfig
from synapse.server.http_protocol import HttpProtocol, options
from synapse_project.front_door import FrontDoor
from synapse_project.server_config import server_config


class ChangingFrontDoor(FrontDoor):
    """Reads the settings each time its configuration is asked for."""

    @property
    def config(self) -> ServerConfig:
        return server_config()

    @config.setter
    def config(self, _: ServerConfig) -> None:
        pass

    def options(self, **others: Any) -> dict[str, Any]:
        """Return uvicorn's settings, with a protocol that reads the settings for each connection."""
        return options(self, http=lambda **given: HttpProtocol(self, server_config(), **given), **others)
