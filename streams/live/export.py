"""Exports of events over HTTP, sent in parts: each part is read when the caller has taken the one before."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from core import payload_access
from core.database import checked_connections
from streams import connections
from streams.connections import LONG_READS, QUEUES, shares_of, tails
from streams.live.session_revalidation import ViewerPermission, guard
from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.endpoints import Call
from synapse.explorer.export import Export, ExportQuery, Part
from synapse.http.exchange import StreamedResponse
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.shares import AllInUse, caller_of

_HEADERS = {
    "Cache-Control": "no-store",
    # Keeps nginx from buffering the response.
    "X-Accel-Buffering": "no",
}
# The number of times that a part waits for its turn, for ten seconds each, before the export ends.
_TRIES = 6


class ExportSession:
    """Sends an export to one caller, as long as the caller's key or session is valid."""

    def __init__(self, call: Call[ExportQuery, None]) -> None:
        self._caller = caller_of(call.by)
        self._by = call.by
        self._permission = ViewerPermission(call.by)
        self.export = Export(call.query, call.catalog, call.by)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the parts of the export. The generator is closed when the caller disconnects.

        Raises:
            Problem, RedisFailure: before the first part; later none.
        """
        with shares_of("event-exports").holding(self._caller), guard.calling(self._check_permission, self._permission):
            part = await self._read_part()
            yield part.text
            while not part.is_last:
                part = await self._next_part()
                if part.text:
                    yield part.text

    async def _next_part(self) -> Part:
        if tails().stopping:
            return self.export.end_early("The server stops.")
        if not self._permission.is_good:
            return self.export.end_early("The key or the session is not good any more.")
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._read_part()
            except AllInUse as problem:
                if not tries_left:
                    return self.export.end_early(problem.detail)
            except FAILURES as failure:
                return self.export.end_early(problem_of(failure).detail)
        raise AssertionError("the last try returns")

    async def _read_part(self) -> Part:
        async with QUEUES[LONG_READS].turn(self._caller, 1):
            by = replace(self._by, rights=self._permission.rights)
            return await connections.async_executor().run(self.export.next_part(holder.current(), by))

    def _check_permission(self) -> None:
        """Do nothing when the guard has renewed a person's rights, because each part begins with a check of its own."""


async def answer_export(call: Call[ExportQuery, None]) -> StreamedResponse:
    """Answer `GET /export/events`.

    Raises:
        Problem, RedisFailure: when the search is refused, or its first part cannot be read.
    """
    session = ExportSession(call)
    if call.by.kind == "person":
        await asyncio.to_thread(_record_access, call.by, session.export.streams)
    chunks = session.chunks()
    first = await anext(chunks)
    name = f"events.{call.query.format}"
    return StreamedResponse(
        first=first,
        chunks=chunks,
        content_type=session.export.media_type,
        headers={**_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'},
    )


@checked_connections()
def _record_access(by: Principal, streams: Sequence[str]) -> None:
    payload_access.record_exporting(by, streams)
