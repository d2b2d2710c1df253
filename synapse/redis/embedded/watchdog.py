"""Bringing the embedded server back when it dies."""

import time
from collections.abc import Callable

from synapse.redis.embedded.endpoint import EmbeddedRedisError, Endpoint
from synapse.redis.embedded.probe import State, look_at
from synapse.redis.embedded.server import EmbeddedRedis
from synapse.runtime.periodic import RetryTimer


class Watch:
    """Watches one running server: a step looks at it once, and starts it again when it is gone.

    It comes back at the same address, or, if its port was taken meanwhile, where `recorded_endpoint` says.
    """

    def __init__(
        self,
        redis: EmbeddedRedis,
        endpoint: Endpoint,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._endpoint = endpoint
        self._retry = RetryTimer(clock=clock)
        self._was = State.READY

    def step(self) -> bool:
        """Look once. Return False when the server was well and there was nothing to do."""
        look = look_at(self._endpoint)
        if look.state is not self._was and look.state is not State.AWAY:
            self._redis.say(f"The embedded Redis {look.said}.")
        self._was = look.state
        if look.state is not State.AWAY:
            return False
        if self._retry.is_due():
            self._bring_back(look.said)
        return True

    def _bring_back(self, said: str) -> None:
        self._redis.say(f"The embedded Redis {said}; starting it again.")
        self._retry.failed()
        try:
            self._endpoint = self._redis.ensure_running()
        except EmbeddedRedisError as error:
            self._redis.say(f"{error}\nNext try in {self._retry.delay:g} s.")
        else:
            self._redis.say(f"The embedded Redis is back at {self._endpoint}.")
            self._was = State.READY
