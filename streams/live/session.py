"""Live tails of one stream or of many, as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from core import payload_access
from core.database import checked_connections
from streams import connections
from streams.live.gateway import GatewaySession
from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.endpoints import Call
from synapse.http.exchange import StreamedResponse
from synapse.live import sse
from synapse.live.query import (
    LiveQuery,
    ManyLiveQuery,
    ManyTails,
    parse_many_tails,
    parse_tail_query,
    wants_cloudevents,
)
from synapse.live.watcher import MOST_WAITING


async def answer_live(call: Call[LiveQuery, None]) -> StreamedResponse:
    """Answer `GET /streams/{stream}/live`: the stream's events from now on, or from the requested position.

    Raises:
        BadParameter: when an id or a time cannot be used.
        Forbidden, UnknownStream, WrongType, RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: as their names
            say.
    """
    name = call.stream.name
    session = GatewaySession(call.by)
    return await _open_response(
        session,
        ManyTails(streams={name: parse_tail_query(call)}),
        sse.OneStream(name, session.positions, _format_of(call)),
        call.by,
    )


async def answer_live_of_many(call: Call[ManyLiveQuery, None]) -> StreamedResponse:
    """Answer `GET /live`: the events of many streams from now on, or from given positions; raises as `answer_live`."""
    session = GatewaySession(call.by)
    return await _open_response(
        session, parse_many_tails(call), sse.ManyStreams(session.positions, _format_of(call)), call.by
    )


def _format_of(call: Call[Any, None]) -> sse.Form:
    return sse.CloudEvents(holder.current) if wants_cloudevents(call) else sse.Rows()


async def _open_response(
    session: GatewaySession, asked: ManyTails, frames: sse.OneStream | sse.ManyStreams, by: Principal
) -> StreamedResponse:
    if by.kind == "person":
        await asyncio.to_thread(_record_access, by, list(asked.streams), everything=asked.later is not None)
    return await sse.stream_response(_yield_chunks(session, asked, frames))


async def _yield_chunks(
    session: GatewaySession, asked: ManyTails, frames: sse.OneStream | sse.ManyStreams
) -> AsyncGenerator[bytes, None]:
    """Yield chunks of frames until the session ends. The generator is closed when the viewer disconnects.

    Raises:
        WrongType, RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: before the first frame; later none.
    """
    with session.hold_seat():
        await session.subscribe_to_all(asked)
        yield sse.opening_frame(frames.position)
        async with aclosing(session.items()) as batches:
            async for items in batches:
                if items:
                    yield frames.items(items, personal=session.personal)
                else:
                    yield sse.heartbeat_frame(frames.position)
        if session.ended == "slow":
            for stream in session.streams:
                connections.counters.add(stream, "live_dropped")
            yield sse.dropped_frame(frames.position, limit=MOST_WAITING)
        else:
            yield sse.bye_frame(session.reason, frames.position)


@checked_connections()
def _record_access(by: Principal, streams: Sequence[str], *, everything: bool) -> None:
    payload_access.record_watching(by, streams, everything=everything)
