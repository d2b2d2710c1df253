"""An event is sent once, even if the connection fails. The caller gets an error that says whether it may be stored."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TypeAlias

import pytest
from acting import STREAM, Redis, client_of, numbered, until_blocked, until_closed
from tests.valkey import PASSWORD, Valkey

from deepiri_modelkit.errors import CannotConnect, OutcomeUnknown
from deepiri_modelkit.streaming import StreamingClient

Pause: TypeAlias = Callable[[], AbstractContextManager[None]]


class Proxy:
    """A proxy between a client and the server. While `deaf`, commands pass, but replies are lost with the
    connection.
    """

    def __init__(self, server: Valkey) -> None:
        self._server = server
        self.deaf = False
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server.port)
        answers = asyncio.create_task(self._answers(from_server, writer))
        while data := await reader.read(65536):
            to_server.write(data)
        to_server.close()
        await answers

    async def _answers(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await from_server.read(65536):
            if self.deaf:
                break
            writer.write(data)
        writer.close()


@pytest.fixture
def paused(redis: Redis) -> Pause:
    @contextmanager
    def pause() -> Iterator[None]:
        """Make the server delay commands that write for this long."""
        redis.client_pause(600_000, all=False)
        try:
            yield
        finally:
            redis.client_unpause()

    return pause


def test_an_event_whose_answer_was_lost_is_stored_once_and_reported_as_unknown(valkey: Valkey, redis: Redis) -> None:
    async def scene() -> None:
        async with Proxy(valkey).running() as proxy:
            client = StreamingClient(redis_host="127.0.0.1", redis_port=proxy.port, redis_password=PASSWORD, timeout=60)
            async with client:
                proxy.deaf = True
                with pytest.raises(OutcomeUnknown, match="may be stored or not"):
                    await client.publish(STREAM, numbered(1))
                proxy.deaf = False
                await client.publish(STREAM, numbered(2))

    asyncio.run(scene())

    assert [fields[b"n"] for _, fields in redis.xrange(STREAM)] == [b"1", b"2"]


def test_an_answer_that_takes_too_long_is_unknown_too(
    valkey: Valkey, paused: Pause, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            # Only the reply has this short timeout, not the connection.
            with paused(), monkeypatch.context() as patch:
                patch.setattr(client._publisher, "_timeout", 0.2)
                with pytest.raises(OutcomeUnknown):
                    await client.publish(STREAM, numbered(1))
            await client.publish(STREAM, numbered(2))

    asyncio.run(scene())

    assert redis.xrange(STREAM)[-1][1][b"n"] == b"2"
    assert redis.xlen(STREAM) <= 2


def test_a_publish_that_is_cancelled_leaves_no_answer_for_the_next(valkey: Valkey, paused: Pause, redis: Redis) -> None:
    async def scene() -> None:
        async with client_of(valkey) as client:
            with paused():
                task = asyncio.create_task(client.publish(STREAM, numbered(1)))
                await until_blocked(redis)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            entry_id = await client.publish(STREAM, numbered(2))
            assert redis.xrange(STREAM, entry_id, entry_id)[0][1][b"n"] == b"2"

    asyncio.run(scene())


def test_after_a_restart_of_the_server_publishing_goes_on(own_valkey: Valkey) -> None:
    async def scene() -> None:
        async with client_of(own_valkey) as client:
            await client.publish(STREAM, numbered(1))
            own_valkey.kill()
            # The event loop must notice the closed connection first; otherwise the outcome would be unknown.
            await until_closed(client)
            with pytest.raises(CannotConnect):
                await client.publish(STREAM, numbered(2))
            own_valkey.start()
            await client.publish(STREAM, numbered(3))

    asyncio.run(scene())

    with own_valkey.client() as redis:
        assert [fields[b"n"] for _, fields in redis.xrange(STREAM)] == [b"1", b"3"]
