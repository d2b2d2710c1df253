"""A reader's own connection: a blocking read occupies it, and it reconnects after a failure."""

import asyncio
import logging
import random
from typing import Any, NoReturn

from redis import exceptions as redis_errors

from deepiri_modelkit.errors import Refused
from deepiri_modelkit.streaming.connection import LOST, NO_ENTRY, Command, Server, exchange

log = logging.getLogger("deepiri_modelkit.streaming")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# How much longer than a blocking read may take its answer is waited for, in seconds.
GRACE = 5.0
# Redis is there but cannot serve us now: it loads its data, changes its role, or has thrown the reader out.
_PASSING = (redis_errors.ReadOnlyError, redis_errors.ClusterDownError, redis_errors.TryAgainError)
_PASSING_WORDS = ("UNBLOCKED", "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")


class Interrupted(Exception):
    """The connection broke before the answer: the command may have been carried out or not."""


def seconds_before_try(failures: int) -> float:
    """Return how long to wait after so many failures in a row: 0.1 s at first, then twice as long each time, 5 s at
    most, and up to half of it less, so that clients of one server do not come back in step.
    """
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1)


class Link:
    """One connection, opened on first use and again after it was lost.

    `title` is what Redis shows of it in CLIENT LIST. `stopping` is set when the reader is to end.
    """

    def __init__(self, server: Server, *, block_ms: int, title: str) -> None:
        self._connection = server.connection()
        self._connect_within = server.timeout
        self._answer_within = block_ms / 1000 + GRACE
        self.title = title
        self.stopping = asyncio.Event()
        self._failures = 0

    @property
    def is_up(self) -> bool:
        """Say whether the connection is open, as far as this side knows."""
        return bool(self._connection.is_connected)

    async def call(self, *command: str | bytes | int) -> Any:
        """Send one command and return its raw reply: bytes, numbers and lists.

        Raises:
            Interrupted: when the connection was lost, or Redis cannot serve now.
            Refused: when Redis said no.
        """
        try:
            reply = await self._call(command)
        except (*NO_ENTRY, redis_errors.ResponseError) as error:
            await self.close()
            raise Refused(f"Redis does not let this client in: {error}", reply=str(error)) from error
        except LOST as error:
            await self._lost(error)
        if isinstance(reply, _PASSING) or (isinstance(reply, Exception) and str(reply).startswith(_PASSING_WORDS)):
            await self._lost(reply)
        if isinstance(reply, Exception):
            raise Refused(f"Redis refused {command[0]!s}: {reply}", reply=str(reply)) from reply
        if self._failures:
            log.info("%s: Redis answers again.", self.title)
            self._failures = 0
        return reply

    async def pause(self) -> None:
        """Wait before the next try, or until the link is stopped."""
        try:
            async with asyncio.timeout(seconds_before_try(self._failures)):
                await self.stopping.wait()
        except TimeoutError:
            pass

    async def stop(self) -> None:
        """Stop the current wait, and every later one."""
        self.stopping.set()
        await self.close()

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _call(self, command: Command) -> Any:
        if not self.is_up:
            async with asyncio.timeout(self._connect_within):
                await self._connection.connect()
            # The name helps operators of the server, and finds a second consumer of the same name. An access list may
            # forbid it.
            await self._exchange(("CLIENT", "SETNAME", self.title))
        return await self._exchange(command)

    async def _exchange(self, command: Command) -> Any:
        return (await exchange(self._connection, [command], answer_within=self._answer_within))[0]

    async def _lost(self, error: BaseException) -> NoReturn:
        await self.close()
        self._failures += 1
        if self._failures == 1 and not self.stopping.is_set():
            log.warning(
                "%s: the connection to Redis is lost (%s); trying again.", self.title, str(error) or "no answer"
            )
        raise Interrupted from error
