"""How much of the memory the bodies of requests may take: all together, those of one caller, and of anonymous callers.

Who sends a body is told by the head, before the body is read. Where keys are required, a caller without a good key or
session sends no more than `SMALL`, and each byte counts; small bodies of all others are not counted: as many as there
are connections fit beside the rest.
"""

from synapse.problems import PayloadTooLarge
from synapse.server.config import ServerConfig
from synapse.shares import CallerId

SMALL = 64 * 1024


class AnonymousBodyTooLarge(PayloadTooLarge):
    """The body is larger than what is read of a caller that shows no good key or session."""

    def __init__(self) -> None:
        super().__init__(f"Of callers without a good key or session at most {SMALL // 1024} KiB are read.")


def is_limited(config: ServerConfig, caller: CallerId) -> bool:
    """Say whether a caller's bodies are small, and counted from the first byte."""
    return caller.is_anonymous and not config.is_open


class Reservation:
    """The memory that one request's body takes of its caller's share."""

    __slots__ = ("_caller", "_free", "_shares", "_taken")

    def __init__(self, config: ServerConfig, caller: CallerId) -> None:
        self._caller = caller
        self._shares = config.shares_of("body-memory")
        self._free = 0 if is_limited(config, caller) else SMALL
        self._taken = 0

    def grow(self, size: int) -> None:
        """Take as much as the body is large by now.

        Raises:
            ShareUsedUp, AllInUse: when that is more than there is for its caller.
        """
        if size > self._free and size > self._taken:
            self._shares.take(self._caller, size - self._taken)
            self._taken = size

    def give_back(self) -> None:
        """Leave the memory to others."""
        if self._taken:
            self._shares.give_back(self._caller, self._taken)
            self._taken = 0
