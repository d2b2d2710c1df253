"""A lease: the right of one process at a time to do some work, such as sampling. It ends when it is not renewed."""

import os
import secrets
import socket

from synapse.redis.command import Command, load_script

_HOLD = load_script("hold_lease")


class Lease:
    """A lease that a worker of this process requests.

    Args:
        key: the Redis key that holds the holder's token.
        ttl_ms: the time in milliseconds after which the lease ends unless it is renewed.

    Attributes:
        token: a random name of the worker.
    """

    def __init__(self, key: str, *, ttl_ms: int) -> None:
        self._key = key
        self._ttl_ms = ttl_ms
        self.token = secrets.token_hex(8)

    def hold(self) -> Command:
        """Take the lease if it is free, or renew it. The reply is whether this worker holds it."""
        # The process id is part of the token, because a forked child has the same random name.
        owner = f"{socket.gethostname()}:{os.getpid()}:{self.token}"
        return _HOLD.call([self._key], [owner, self._ttl_ms], parse=bool)
