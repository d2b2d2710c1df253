"""The client of the platform's streams: it publishes to Redis and reads from it, with no server in between."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from deepiri_modelkit.errors import InvalidEvent, NotConnected
from deepiri_modelkit.names import checked_name
from deepiri_modelkit.streaming.connection import Server
from deepiri_modelkit.streaming.publisher import Publisher
from deepiri_modelkit.streaming.received import ReceivedEvent
from deepiri_modelkit.streaming.subscription.link import Link
from deepiri_modelkit.streaming.subscription.loop import Callback, events
from deepiri_modelkit.streaming.subscription.opening import open_reader
from deepiri_modelkit.wire import encode


class StreamingClient:
    """Publishes events and subscribes to them. One client serves one event loop; its tasks may share it.

    Args:
        redis_host, redis_port, redis_db, redis_username, redis_password: where Redis is, and how to log in.
        redis_url: instead of all of them: `redis://`, `rediss://` (TLS) or `unix://`.
        source: the program's name, stored beside events that name no source of their own.
        timeout: how long to wait for a connection, and for the answer to a publish, in seconds.
    """

    def __init__(
        self,
        redis_host: str = "localhost",
        redis_port: int = 6379,
        redis_password: str | None = None,
        redis_db: int = 0,
        redis_url: str | None = None,
        *,
        redis_username: str | None = None,
        source: str = "anonymous",
        timeout: float = 5.0,
    ) -> None:
        self._server = Server(
            host=redis_host,
            port=redis_port,
            db=redis_db,
            username=redis_username,
            password=redis_password,
            url=redis_url,
            timeout=timeout,
        )
        self._source = source
        self._publisher: Publisher | None = None
        self._links: set[Link] = set()

    async def connect(self) -> None:
        """Connect, and make sure that Redis answers. Doing it twice is as good as once.

        Raises:
            CannotConnect: when Redis cannot be reached.
            Refused: when it does not accept the password.
        """
        if self._publisher is not None:
            return
        publisher = Publisher(self._server)
        try:
            await publisher.ping()
        except BaseException:
            await publisher.close()
            raise
        self._publisher = publisher

    async def close(self) -> None:
        """Close every connection and end every subscription.

        An event that a loop is working on is still acknowledged when the loop asks for the next one, if Redis can be
        reached; otherwise it comes back to the next run.
        """
        publisher, self._publisher = self._publisher, None
        for link in list(self._links):
            await link.stop()
        if publisher is not None:
            await publisher.close()

    async def disconnect(self) -> None:
        """Do as `close` does."""
        await self.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def publish(self, stream: str, event: Mapping[str, Any] | BaseModel) -> str:
        """Store one event and return its entry id. The event itself is never changed.

        Raises:
            InvalidName, InvalidEvent: nothing was sent; both are also a ValueError.
            NotConnected, CannotConnect, Refused: nothing was stored.
            OutcomeUnknown: the connection broke before Redis answered; the event is never sent a second time.
        """
        return (await self.publish_many(stream, [event]))[0]

    async def publish_many(self, stream: str, events: Iterable[Mapping[str, Any] | BaseModel]) -> list[str]:
        """Store events in their order, in one round trip, and return their entry ids in the same order.

        All of them are checked before the first is sent. It is no transaction: other publishers' events may lie
        between them, and after `OutcomeUnknown` any number of them, from the first on, may be stored.

        Raises:
            As `publish` does; `Refused.entry_ids` tells which events were stored nevertheless.
        """
        name = checked_name("stream", stream)
        publisher = self._connected()
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        entries = []
        for index, event in enumerate(events):
            try:
                entries.append(encode(_properties(event), timestamp=timestamp, source=self._source))
            except InvalidEvent as error:
                error.add_note(f"It is event {index} of the call, counted from 0. Nothing was sent.")
                raise
        return await publisher.append(name, entries) if entries else []

    def subscribe(
        self,
        stream: str,
        callback: Callback | None = None,
        consumer_group: str | None = None,
        consumer_name: str | None = None,
        *,
        start: str = "0",
        count: int = 10,
        block_ms: int = 2000,
        claim_idle_ms: int | None = 60_000,
    ) -> AsyncGenerator[ReceivedEvent, None]:
        """Iterate over the events of a stream, without end: `async for event in client.subscribe(...)`.

        With a callback every event goes to both, first the callback, then the body of the loop. Subscribing survives
        restarts of Redis: it reconnects for as long as it takes, and makes a lost group again from the beginning.

        With `consumer_group`, the group's events are shared among its consumers, and each event is acknowledged when
        the loop asks for the next: when the callback or the body raises, or the loop is left, it stays pending. It
        comes back first thing when this `consumer_name` subscribes again, and goes to another consumer of the group
        after `claim_idle_ms`. So an event may be handled twice, and is never lost. `event.attempts` counts.

        Without a group every subscriber gets every event, and nothing is remembered between runs.

        Args:
            callback: a function or coroutine function that takes the event.
            consumer_group: made when it does not exist.
            consumer_name: unique in its group and the same in every run; made up when not given.
            start: an entry id to read after, "0" for the beginning or "$" for new events only. A group that exists
                already continues where it is.
            count: how many events are fetched at once.
            block_ms: how long one read waits in Redis, in milliseconds.
            claim_idle_ms: how long an event must be pending before it is taken over from its consumer, in
                milliseconds: longer than any event takes to handle. None: this consumer takes nothing over.

        Raises:
            InvalidName, ValueError, NotConnected: at once.
            Refused: in the loop, when Redis does not permit the reading.
        """
        name = checked_name("stream", stream)
        reader = open_reader(
            self._server,
            stream=name,
            group=consumer_group,
            consumer=consumer_name,
            start=start,
            count=count,
            block_ms=block_ms,
            claim_idle_ms=claim_idle_ms,
        )
        self._connected()
        return events(reader, stream=name, callback=callback, links=self._links)

    def _connected(self) -> Publisher:
        if self._publisher is None:
            raise NotConnected("The client is not connected: call `await client.connect()`, or use `async with`.")
        return self._publisher


def _properties(event: Mapping[str, Any] | BaseModel) -> Mapping[str, Any]:
    """Return an event's properties; a model's in JSON types, so that a date in it becomes text."""
    if isinstance(event, BaseModel):
        try:
            return event.model_dump(mode="json")
        except ValueError as error:
            raise InvalidEvent(f"The event cannot be stored as JSON: {error}") from error
    if not isinstance(event, Mapping):
        raise InvalidEvent(f"An event is a dictionary or a Pydantic model, not {type(event).__name__}.")
    return event
