"""A front door whose configuration follows the settings, which tests change while it stands."""

from synapse.server.config import ServerConfig
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
