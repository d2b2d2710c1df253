"""Watching a stream live: `GET /streams/{stream}/live`, as server-sent events. `docs/live-tail.md` is the guide."""

import asyncio

from django.conf import settings

from core import payload_access
from core.database import checked_connections
from streams.connections import tails
from streams.live.session import ViewerFrames
from synapse.auth.principal import Principal
from synapse.endpoints import Call
from synapse.http.exchange import StreamedResponse
from synapse.live import sse
from synapse.live.query import LiveQuery, asked


async def live(call: Call[LiveQuery, None]) -> StreamedResponse:
    """Answer `GET /streams/{stream}/live`: the stream's events from now on, or from the requested position.

    Raises:
        BadParameter: when an id or a time cannot be used.
        Forbidden, UnknownStream, WrongType, RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: as their names
                say.
    """
    stream, by = call.stream, call.by
    following = ViewerFrames(stream.name, asked(call), tails(), heartbeat=settings.LIVE_HEARTBEAT, principal=by)
    if by.kind == "person":
        await asyncio.to_thread(_record, by, stream.name)
    return await sse.streamed(following.chunks())


@checked_connections()
def _record(by: Principal, stream: str) -> None:
    payload_access.record_watching(by, f"stream {stream}")
