"""A reader's own connection, which blocking reads occupy. It reconnects after a failure."""

import asyncio
import logging
import random
from typing import Any, NoReturn

from redis import exceptions as redis_errors

from deepiri_modelkit.errors import Refused
from deepiri_modelkit.streaming.connection import LOST, NO_ENTRY, Command, Server, exchange

log = logging.getLogger("deepiri_modelkit.streaming")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# Seconds to wait for a reply beyond the time of a blocking read.
GRACE = 5.0
# Redis answers but cannot serve now: it is loading data or changing its role, or has unblocked the reader.
_PASSING = (redis_errors.ReadOnlyError, redis_errors.ClusterDownError, redis_errors.TryAgainError)
_PASSING_WORDS = ("UNBLOCKED", "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")


class Interrupted(Exception):
    """The connection broke before the reply: it is unknown whether the command was executed."""


def seconds_before_try(failures: int) -> float:
    """Return the seconds to wait after consecutive failures: 0.1 s, doubled each time up to 5 s, and reduced at random
    by up to half, so that clients of one server do not reconnect at the same time.
    """
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1)


class Link:
    """One connection, opened on first use and reopened after it is lost.

    `title` is its name in CLIENT LIST. `stopping` is set when the reader must end.
    """

    def __init__(self, server: Server, *, block_ms: int, title: str) -> None:
        self._connection = server.make_connection()
        self._connect_within = server.timeout
        self._answer_within = block_ms / 1000 + GRACE
        self.title = title
        self.stopping = asyncio.Event()
        self._failures = 0

    @property
    def is_up(self) -> bool:
        """Say whether the connection is open as far as this side knows."""
        return bool(self._connection.is_connected)

    async def call(self, *command: str | bytes | int) -> Any:
        """Send one command and return its raw reply: bytes, numbers and lists.

        Raises:
            Interrupted: when the connection is lost, or Redis cannot serve now.
            Refused: when Redis refuses the command.
        """
        try:
            reply = await self._call(command)
        except (*NO_ENTRY, redis_errors.ResponseError) as error:
            await self.close()
            raise Refused(f"Redis does not let this client in: {error}", reply=str(error)) from error
        except LOST as error:
            await self._fail(error)
        if isinstance(reply, _PASSING) or (isinstance(reply, Exception) and str(reply).startswith(_PASSING_WORDS)):
            await self._fail(reply)
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
        """Close the connection, and end the current wait and all later ones."""
        self.stopping.set()
        await self.close()

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _call(self, command: Command) -> Any:
        if not self.is_up:
            async with asyncio.timeout(self._connect_within):
                await self._connection.connect()
            # The name helps operators, and reveals a second consumer of the same name. An access list may forbid
            # setting it.
            await self._exchange(("CLIENT", "SETNAME", self.title))
        return await self._exchange(command)

    async def _exchange(self, command: Command) -> Any:
        return (await exchange(self._connection, [command], answer_within=self._answer_within))[0]

    async def _fail(self, error: BaseException) -> NoReturn:
        await self.close()
        self._failures += 1
        if self._failures == 1 and not self.stopping.is_set():
            log.warning(
                "%s: the connection to Redis is lost (%s); trying again.", self.title, str(error) or "no answer"
            )
        raise Interrupted from error
