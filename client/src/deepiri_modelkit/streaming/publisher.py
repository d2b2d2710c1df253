"""Appends entries to streams, each at most once."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import Connection

from deepiri_modelkit.errors import CannotConnect, OutcomeUnknown, Refused
from deepiri_modelkit.streaming.connection import LOST, NO_ENTRY, Command, Server, exchange

POOL_SIZE = 16


class Publisher:
    """A pool of connections for short commands."""

    def __init__(self, server: Server) -> None:
        self._pool = server.make_pool(POOL_SIZE)
        self._timeout = server.timeout
        # Before redis-py 5.3, get_connection requires the name of a command. Since then, passing one is deprecated.
        name = inspect.signature(self._pool.get_connection).parameters.get("command_name")
        self._checkout_words = ("XADD",) if name is not None and name.default is inspect.Parameter.empty else ()

    async def ping(self) -> None:
        """Check that Redis answers and accepts this client.

        Raises:
            CannotConnect, Refused, OutcomeUnknown: when it does not.
        """
        await self._exchange([("PING",)])

    async def append(self, stream: str, entries: Sequence[Mapping[str, str]]) -> list[str]:
        """Append the entries in order, in one round trip, and return their ids.

        Raises:
            CannotConnect: nothing was sent.
            Refused: Redis refused an entry. The error holds the ids of those that it stored.
            OutcomeUnknown: no answer came.
        """
        replies = await self._exchange([_xadd_command(stream, fields) for fields in entries])
        ids = [reply.decode() if isinstance(reply, bytes) else None for reply in replies]
        refusals = [reply for reply in replies if isinstance(reply, Exception)]
        if refusals:
            which = "the event" if len(entries) == 1 else f"{len(refusals)} of {len(entries)} events"
            raise Refused(
                f"Redis did not store {which} in “{stream}”: {refusals[0]}", reply=str(refusals[0]), entry_ids=ids
            ) from refusals[0]
        return [id_ for id_ in ids if id_ is not None]

    async def close(self) -> None:
        await self._pool.disconnect()

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connection = await self._checkout()
        try:
            return await exchange(connection, commands, answer_within=self._timeout)
        except LOST as error:
            if len(commands) == 1 and isinstance(error, (*NO_ENTRY, redis_errors.BusyLoadingError)):
                # redis-py treats these as connection errors, but they are replies: the command was not executed.
                raise Refused(f"Redis refused the command: {error}", reply=str(error)) from error
            raise OutcomeUnknown(
                f"Redis did not answer ({_reason_of(error)}): what was sent may be stored or not."
            ) from error
        finally:
            await self._pool.release(connection)

    async def _checkout(self) -> Connection:
        try:
            async with asyncio.timeout(self._timeout):
                connection: Connection = await self._pool.get_connection(*self._checkout_words)
        except (*NO_ENTRY, redis_errors.ResponseError) as error:
            raise Refused(f"Redis does not let this client in: {error}", reply=str(error)) from error
        except LOST as error:
            raise CannotConnect(f"Redis cannot be reached: {_reason_of(error)}") from error
        return connection


def _reason_of(error: BaseException) -> str:
    return str(error) or "it took too long"


def _xadd_command(stream: str, fields: Mapping[str, str]) -> Command:
    return ("XADD", stream, "*", *(part for pair in fields.items() for part in pair))
