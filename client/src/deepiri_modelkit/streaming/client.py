"""The client for the platform's streams. It publishes to Redis and reads from it directly, without a server in
between.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from deepiri_modelkit.errors import InvalidEvent, NotConnected
from deepiri_modelkit.names import check_name
from deepiri_modelkit.streaming.connection import Server
from deepiri_modelkit.streaming.publisher import Publisher
from deepiri_modelkit.streaming.received import ReceivedEvent
from deepiri_modelkit.streaming.subscription.link import Link
from deepiri_modelkit.streaming.subscription.loop import Callback, iterate_events
from deepiri_modelkit.streaming.subscription.opening import open_reader
from deepiri_modelkit.wire import encode


class StreamingClient:
    """Publishes events and subscribes to them. One client serves one event loop; its tasks may share it.

    Args:
        redis_host, redis_port, redis_db, redis_username, redis_password: the address of Redis, and the credentials.
        redis_url: replaces all of them: `redis://`, `rediss://` (TLS) or `unix://`.
        source: the program's name, stored with events that have no source of their own.
        timeout: the seconds to wait for a connection, and for the answer when publishing.
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
        """Connect, and check that Redis answers. Repeated calls have no effect.

        Raises:
            CannotConnect: when Redis cannot be reached.
            Refused: when Redis does not accept the credentials.
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

        An event that a loop is handling is still acknowledged when the loop asks for the next one, if Redis can be
        reached. Otherwise it is delivered again to the next run.
        """
        publisher, self._publisher = self._publisher, None
        for link in list(self._links):
            await link.stop()
        if publisher is not None:
            await publisher.close()

    async def disconnect(self) -> None:
        """Close the client: an alias of `close`."""
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
            OutcomeUnknown: the connection broke before Redis answered. The event is not sent again.
        """
        return (await self.publish_many(stream, [event]))[0]

    async def publish_many(self, stream: str, events: Iterable[Mapping[str, Any] | BaseModel]) -> list[str]:
        """Store events in order, in one round trip, and return their entry ids in the same order.

        All events are checked before the first is sent. This is not a transaction: events of other publishers may come
        between them, and after `OutcomeUnknown` any number of them, from the first on, may be stored.

        Raises:
            The errors of `publish`. `Refused.entry_ids` shows which events were stored nevertheless.
        """
        name = check_name("stream", stream)
        publisher = self._require_publisher()
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        entries = []
        for index, event in enumerate(events):
            try:
                entries.append(encode(_properties_of(event), timestamp=timestamp, source=self._source))
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

        With a callback, each event goes first to the callback and then to the body of the loop. A subscription survives
        restarts of Redis: it reconnects until it succeeds, and recreates a lost group from the beginning of the stream.

        With `consumer_group`, the group's events are shared among its consumers, and each event is acknowledged when
        the loop asks for the next one. If the callback or the body raises, or the loop is left, the event stays
        pending. It is delivered first when this `consumer_name` subscribes again, or to another consumer of the group
        after `claim_idle_ms`. So an event may be handled twice, but is never lost. `event.attempts` counts its
        deliveries.

        Without a group, every subscriber gets every event, and its position is not stored between runs.

        Args:
            callback: a function or coroutine function that takes the event.
            consumer_group: the group, which is created if it does not exist.
            consumer_name: unique in its group, and the same in every run; by default a new unique name.
            start: the entry id to read after, "0" for the beginning or "$" for new events only. An existing group
                continues at its position.
            count: the most events to fetch at once.
            block_ms: the milliseconds that one read waits in Redis for new events.
            claim_idle_ms: the milliseconds that an event must be pending before this consumer takes it over from
                another. It must be longer than handling any event takes. None: this consumer takes nothing over.

        Raises:
            InvalidName, ValueError, NotConnected: by the call itself.
            Refused: in the loop, when Redis does not permit reading.
        """
        name = check_name("stream", stream)
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
        self._require_publisher()
        return iterate_events(reader, stream=name, callback=callback, links=self._links)

    def _require_publisher(self) -> Publisher:
        if self._publisher is None:
            raise NotConnected("The client is not connected: call `await client.connect()`, or use `async with`.")
        return self._publisher


def _properties_of(event: Mapping[str, Any] | BaseModel) -> Mapping[str, Any]:
    """Return an event's properties. Those of a model are converted to JSON types, so that a date becomes text."""
    if isinstance(event, BaseModel):
        try:
            return event.model_dump(mode="json")
        except ValueError as error:
            raise InvalidEvent(f"The event cannot be stored as JSON: {error}") from error
    if not isinstance(event, Mapping):
        raise InvalidEvent(f"An event is a dictionary or a Pydantic model, not {type(event).__name__}.")
    return event
