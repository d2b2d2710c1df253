"""Probe the embedded server from outside: whether it answers, still loads its data, or is gone."""

from contextlib import closing
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import redis.exceptions

from synapse.redis.command import Command, value
from synapse.redis.commands import server as server_commands
from synapse.redis.connection import Server
from synapse.redis.embedded.endpoint import Endpoint
from synapse.redis.errors import RedisUnavailable, ReplyError
from synapse.redis.sync_executor import SyncExecutor

# How long an answer may take, in seconds.
PATIENCE = 1.0


class State(Enum):
    READY = auto()
    LOADING = auto()  # alive, and reading what it holds from disk
    SILENT = auto()  # it listens, but gave no answer in time
    AWAY = auto()  # nobody listens there, or somebody who does not take our password


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of one probe. `said` completes the sentence "the server ..."; `loaded` counts bytes while loading."""

    state: State
    said: str
    loaded: int = 0


def ask(endpoint: Endpoint, command: Command) -> Any:
    """Return the reply to one command, on a connection of its own.

    Raises:
        RedisUnavailable: when the server cannot be reached, or its answer does not come in time.
        ReplyError: when the server refuses the command.
    """
    with closing(SyncExecutor(Server(locate=lambda: endpoint.url, timeout=PATIENCE))) as executor:
        return value(executor.execute([command])[0])


def info(endpoint: Endpoint) -> dict[str, str]:
    """Return the server's INFO. Works while the server is still loading its data; raises as `ask` does."""
    known: dict[str, str] = ask(endpoint, server_commands.info())
    return known


def look_at(endpoint: Endpoint) -> ProbeResult:
    """Ask the server once how it is; takes a second or two at most."""
    try:
        known = info(endpoint)
    except ReplyError as error:
        return ProbeResult(state=State.AWAY, said=f"refuses us ({error})")
    except RedisUnavailable as failure:
        if was_late(failure):
            return ProbeResult(state=State.SILENT, said="gives no answer")
        bottom = _bottom_of(failure)
        how = "refuses us" if isinstance(bottom, redis.exceptions.AuthenticationError) else "is not there"
        return ProbeResult(
            state=State.AWAY, said=f"{how} ({getattr(bottom, 'strerror', None) or str(bottom).rstrip('.')})"
        )
    if known["loading"] == "0":
        return ProbeResult(state=State.READY, said="answers")
    loaded, percent = known.get("loading_loaded_bytes", "0"), known.get("loading_loaded_perc", "100")
    return ProbeResult(state=State.LOADING, loaded=int(loaded), said=f"is reading its events: {float(percent):.0f} %")


def was_late(failure: RedisUnavailable) -> bool:
    """Say whether the server was there, and its answer did not come in time."""
    return isinstance(_bottom_of(failure), TimeoutError | redis.exceptions.TimeoutError)


def _bottom_of(error: BaseException) -> BaseException:
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error
