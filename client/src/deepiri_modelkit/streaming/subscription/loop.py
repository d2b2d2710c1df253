"""The loop of a subscription, which delivers events one by one and acknowledges each after it is handled."""

import inspect
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from deepiri_modelkit.errors import StreamingError
from deepiri_modelkit.streaming.received import ReceivedEvent
from deepiri_modelkit.streaming.subscription.link import Interrupted, Link
from deepiri_modelkit.streaming.subscription.reader import Delivery, Reader

log = logging.getLogger("deepiri_modelkit.streaming")

Callback = Callable[[ReceivedEvent], Awaitable[Any] | None]
Found = TypeVar("Found")
P = ParamSpec("P")


async def iterate_events(
    reader: Reader, *, stream: str, callback: Callback | None, links: set[Link]
) -> AsyncGenerator[ReceivedEvent, None]:
    """Yield the reader's events until its link is stopped. `links` contains the link during that time.

    Raises:
        Refused: when Redis refuses a command for a reason that retrying does not change.
        Exception: any error of the callback. The event stays unacknowledged.
    """
    waiting: deque[Delivery] = deque()
    links.add(reader.link)
    try:
        while not reader.link.stopping.is_set():
            if not waiting:
                waiting.extend(await _retry_while_interrupted(reader, reader.read) or ())
                continue
            if reader.is_stale(waiting[0]):
                waiting = deque(await _retry_while_interrupted(reader, reader.renew, list(waiting)) or ())
                continue
            delivery = waiting.popleft()
            event = ReceivedEvent.of_fields(
                delivery.fields, stream=stream, entry_id=delivery.entry_id, attempts=delivery.attempts
            )
            if callback is not None:
                outcome = callback(event)
                if inspect.isawaitable(outcome):
                    await outcome
            yield event
            # The consumer asks for the next event, so this one is handled.
            await _retry_while_interrupted(reader, reader.acknowledge, delivery)
    finally:
        await _finish(reader, waiting)
        links.discard(reader.link)


async def _retry_while_interrupted(
    reader: Reader, act: Callable[P, Awaitable[Found]], *args: P.args, **named: P.kwargs
) -> Found | None:
    """Call `act` until the connection does not fail. Return None if the link is stopped before that."""
    while True:
        try:
            return await act(*args, **named)
        except Interrupted:
            if reader.link.stopping.is_set():
                return None
            await reader.link.pause()


async def _finish(reader: Reader, waiting: deque[Delivery]) -> None:
    try:
        # Without a connection the entries stay pending, and are claimed when they have been idle long enough.
        if waiting and reader.link.is_up:
            await reader.give_back(list(waiting))
    except (Interrupted, StreamingError) as error:
        log.info("%s: %d events could not be given back: %s", reader.link.title, len(waiting), error)
    finally:
        await reader.link.close()
