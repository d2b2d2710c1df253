"""Looking at the server from outside: does it answer, is it still reading its data, or is it gone?"""

from dataclasses import dataclass
from enum import Enum, auto

from synapse.redis.embedded import connection
from synapse.redis.embedded.endpoint import Endpoint


class State(Enum):
    READY = auto()
    LOADING = auto()  # alive, and reading what it holds from disk
    SILENT = auto()  # it listens, but gave no answer in time
    AWAY = auto()  # nobody listens there, or somebody who does not take our password


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look showed. `said` completes the sentence "the server ..."; `loaded` counts bytes while loading."""

    state: State
    said: str
    loaded: int = 0


def look_at(endpoint: Endpoint) -> Look:
    """Ask the server once how it is, with an authenticated PING; takes a second or two at most."""
    try:
        with connection.Connection(endpoint) as server:
            server.call("PING")
    except connection.ErrorReply as error:
        if str(error).startswith("LOADING"):
            return _look_at_loading(endpoint)
        return Look(state=State.AWAY, said=f"refuses us ({error})")
    except TimeoutError:
        return Look(state=State.SILENT, said="gives no answer")
    except OSError as error:
        return Look(state=State.AWAY, said=f"is not there ({error.strerror or error})")
    return Look(state=State.READY, said="answers")


def _look_at_loading(endpoint: Endpoint) -> Look:
    try:
        persistence = connection.info(endpoint, "persistence")
    except (OSError, connection.ErrorReply) as error:
        return Look(state=State.SILENT, said=f"gives no answer ({error})")
    loaded, percent = persistence.get("loading_loaded_bytes", "0"), persistence.get("loading_loaded_perc", "100")
    return Look(state=State.LOADING, loaded=int(loaded), said=f"is reading its events: {float(percent):.0f} %")
