"""Who may see dead letters, and act on them: who may read all of the stream, and has the scope for it."""

from synapse.auth.permission import demand_right, demand_scope
from synapse.auth.principal import EVERY_TYPE, Principal

READ, WRITE = "dead-letters:read", "dead-letters:write"


def permit_reading(by: Principal, stream: str) -> None:
    """Make sure that a caller may see the dead letters of a stream's groups.

    Raises:
        Forbidden: when they may not.
    """
    _demand(by, stream, READ)


def permit_acting(by: Principal, stream: str) -> None:
    """Make sure that a caller may redrive, edit and discard the dead letters of a stream's groups, or learn what that
    would do.

    Raises:
        Forbidden: when they may not.
    """
    _demand(by, stream, WRITE)


def _demand(by: Principal, stream: str, scope: str) -> None:
    demand_right(by, "read", stream)
    demand_right(by, "read", stream, EVERY_TYPE)
    demand_scope(by, scope)
