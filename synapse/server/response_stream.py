"""Writing an answer that goes on and on, until it ends or the client goes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from synapse.http.exchange import StreamedResponse

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)


async def streamed(
    response: StreamedResponse, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send
) -> None:
    """Write the answer. `send` waits while the client reads slower than we write, so nothing piles up here."""
    writing = asyncio.create_task(_write(response, headers, send))
    going = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({writing, going}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Whichever is left has nothing more to do; an answer that was cut off closes its chunks.
        ended = await _ended(writing, going)
    if isinstance(ended, Exception):
        logger.error("an answer broke off", exc_info=ended)


async def _write(response: StreamedResponse, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    async with aclosing(response.chunks) as chunks:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.first, "more_body": True})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ended(writing: asyncio.Task[None], going: asyncio.Task[None]) -> BaseException | None:
    for task in (writing, going):
        task.cancel()
    found, _ = await asyncio.gather(writing, going, return_exceptions=True)
    return found
