"""One WebSocket connection (`GET /ws`): it executes commands one after another, and at the same time sends the events
of the followed streams.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from django.conf import settings
from django.db import Error as DatabaseProblem

from core import payload_access
from core.database import checked_connections, database_problem
from streams import connections
from streams.access.identification import current_rights
from streams.live.gateway import GatewaySession
from streams.snapshot import holder
from synapse.auth.client_ip import one_caller
from synapse.auth.principal import Principal
from synapse.formats import exact_json
from synapse.formats.durations import Rate
from synapse.formats.text import NO_TEXTS
from synapse.http.exchange import JSON, Request, Response, WebSocket
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.live import Frame, Item
from synapse.live.chunk_cache import chunks
from synapse.live.commands import CommandId, Envelope, Publish, Resume, Subscribe, Unsubscribe, read_envelope
from synapse.live.positions import ReadPositions, parse_positions
from synapse.live.query import ALL, TailQuery, readable_streams
from synapse.live.watcher import MOST_WAITING
from synapse.problems import BadParameter, Forbidden, Problem, document
from synapse.publishing import idempotency, pipeline
from synapse.server.request_guard import Kind, take_request

# The rate limit of commands, and the number that may come at once. Further commands wait in the network.
COMMANDS_PER_SECOND, COMMANDS_AT_ONCE = 200, 400
# Seconds that a running command may take when the session ends, so that the storing of an event is answered. The server
# waits longer than this for connections when it stops.
LAST_COMMAND_SECONDS = 5.0

# Close codes (RFC 6455, 7.4, and the registry of IANA), by the reason for which the session ended.
_STOPPING, _TRY_AGAIN, _POLICY = 1012, 1013, 1008
_CODES: Mapping[str, int] = {"stopping": _STOPPING, "slow": _TRY_AGAIN, "failed": 1011}
_STOPS = "the server stops"
_LEFT = "The stream may not be read any more."


class RateLimiter:
    """A rate limiter: delays actions that come faster than a rate, after a burst of `at_once`."""

    def __init__(self, per_second: float, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 1 / per_second
        self._ahead = self._gap * at_once
        self._clock = clock
        self._due = 0.0

    def next_delay(self) -> float:
        """Count one more action. Return the seconds to wait before it."""
        now = self._clock()
        self._due = max(self._due, now - self._ahead) + self._gap
        return max(0.0, self._due - now)


class SocketSession:
    """Executes the commands of one client, and sends it the events of the streams that it follows."""

    def __init__(self, principal: Principal, *, may_publish: bool) -> None:
        """Prepare a session for a caller. `may_publish`: whether the caller sent a key, or access is open."""
        self._principal = principal
        self._may_publish = may_publish
        self._session = GatewaySession(principal, ends_when_empty=False, on_left=self._report_left_stream)
        self._socket: WebSocket | None = None
        self._limiter = RateLimiter(COMMANDS_PER_SECOND, COMMANDS_AT_ONCE)
        # Held while a command is executed. When the session ends, its end takes the lock before the next command.
        self._command = asyncio.Lock()
        # The streams that the client named in “subscribe”.
        self._named: set[str] = set()
        # The position that the client resumed from, and the streams that have continued from it.
        self._resume_position: ReadPositions | None = None
        self._resumed_streams: set[str] = set()

    async def serve(self, socket: WebSocket) -> None:
        """Serve the client until one side ends the connection."""
        self._socket = socket
        try:
            with self._session.hold_seat():
                await self._run_tasks(socket)
        except FAILURES as failure:
            socket.close(_TRY_AGAIN, problem_of(failure).detail)

    async def _run_tasks(self, socket: WebSocket) -> None:
        tasks = [asyncio.create_task(work(socket)) for work in (self._answer_commands, self._send_events)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._command.acquire(), LAST_COMMAND_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        self._send_bye(socket)

    def _send_bye(self, socket: WebSocket) -> None:
        ended = "stopping" if socket.is_stopping else self._session.ended
        if ended is None:
            return  # the client has disconnected
        reason = _STOPS if ended == "stopping" else self._session.reason
        said = {"op": "bye", "reason": reason, "position": self._position}
        if ended == "slow":
            for stream in self._session.streams:
                connections.counters.add(stream, "live_dropped")
            reason = "too slow"
            detail = f"More than {MOST_WAITING} events or too many bytes were waiting for you. Resume from here."
            said = {"op": "dropped", "reason": "slow", "position": self._position, "detail": detail}
        socket.send(orjson.dumps(said))
        socket.close(_CODES.get(ended, _POLICY), reason)

    @property
    def _position(self) -> str:
        return self._session.positions.text.decode()

    # Events.

    async def _send_events(self, socket: WebSocket) -> None:
        async with aclosing(self._session.items()) as batches:
            async for items in batches:
                if items:
                    positions, personal = self._session.positions, self._session.personal
                    encode = partial(self._frame_items, socket, items)
                    socket.send_frames(chunks.chunk_of(("socket", personal, positions.text), items, encode))
                    positions.advance_all(items)
                else:
                    socket.send(self._encode_heartbeat())
                await socket.drain()

    def _frame_items(self, socket: WebSocket, items: Sequence[Item]) -> bytes:
        return socket.frame(*self._encode_items(items))

    def _encode_items(self, items: Sequence[Item]) -> Iterator[bytes]:
        personal, positions = self._session.personal, self._session.positions
        for item in items:
            position = positions.advance(item)
            if isinstance(item, Frame):
                # Built without an encoder: positions and names of streams need no escapes in JSON.
                body = item.body_for(personal=personal)
                yield b'{"op":"event","position":"%b","stream":"%b",%b' % (position, item.stream.encode(), body)
            else:
                said = {"op": "gap", "position": position.decode(), "stream": item.stream, **item.members}
                yield orjson.dumps(said)

    def _encode_heartbeat(self) -> bytes:
        return orjson.dumps({"op": "heartbeat", "position": self._position})

    def _report_left_stream(self, stream: str) -> None:
        self._named.discard(stream)
        if self._socket is not None:
            said = {"op": "unsubscribed", "stream": stream, "reason": _LEFT, "position": self._position}
            self._socket.send(orjson.dumps(said))

    # Commands.

    async def _answer_commands(self, socket: WebSocket) -> None:
        while (message := await socket.receive()) is not None:
            if delay := self._limiter.next_delay():
                await asyncio.sleep(delay)
            async with self._command:
                socket.send(await self._execute_message(message))
            await socket.drain()

    async def _execute_message(self, message: bytes) -> bytes:
        id_: CommandId = None
        try:
            try:
                envelope = read_envelope(message)
                id_ = envelope.id
            finally:
                # Unreadable messages count, too. The id is read first, so that the answer “too many requests” repeats
                # it.
                await self._count_request()
            said = await self._execute_command(envelope)
        except FAILURES as failure:
            said = _problem_answer(problem_of(failure))
        except DatabaseProblem as error:
            if (problem := database_problem(error)) is None:
                raise
            said = _problem_answer(problem)
        return orjson.dumps({**said, "id": id_} if id_ is not None else said)

    async def _count_request(self) -> None:
        """Count a command as a request of its address and key, where the settings limit their rates.

        Raises:
            TooManyRequests: when the address or the key has no request left.
        """
        rates: tuple[tuple[Kind, str, Rate | None], ...] = (
            ("address", one_caller(self._principal.address), settings.RATE_PER_ADDRESS),
            ("key", self._principal.key, settings.RATE_PER_KEY),
        )
        for kind, caller, rate in rates:
            if rate is not None and caller:
                await connections.async_executor().run(take_request(kind, caller, rate))

    async def _execute_command(self, envelope: Envelope) -> dict[str, Any]:
        match envelope.command():
            case Subscribe() as command:
                return await self._subscribe(command)
            case Unsubscribe(stream=stream):
                return self._unsubscribe(stream)
            case Resume(position=position):
                return self._resume(position)
            case Publish() as command:
                return await self._publish(command)
        return {"op": "pong"}

    def _resume(self, position: str) -> dict[str, Any]:
        if self._resume_position is not None:
            raise BadParameter("This connection resumed a position already. Open another one for another position.")
        try:
            self._resume_position = parse_positions(position)
        except BadParameter:
            raise BadParameter(
                "“position” is not that of a message of this route. Send the last one that you received unchanged.",
                parameter="position",
            ) from None
        self._resumed_streams = set(self._session.streams)
        self._session.positions.keep_earlier(self._resume_position)
        return {"op": "resumed", "position": self._position}

    async def _subscribe(self, command: Subscribe) -> dict[str, Any]:
        query, rights = command.query(), self._session.rights
        if not command.is_of_all:
            is_there = command.stream in holder.current().streams and rights.may("read", command.stream)
            if self._principal.kind == "person" and is_there:
                await asyncio.to_thread(_record_access, self._principal, [command.stream], everything=False)
            try:
                await self._session.subscribe({command.stream: self._resume_query(query, command.stream)})
            except BaseException:
                self._restore_positions()
                raise
            self._named.add(command.stream)
            self._resumed_streams.add(command.stream)
            return {"op": "subscribed", "stream": command.stream, "position": self._position}
        if self._session.positions.of_all:
            raise BadParameter("All streams are followed already. Unsubscribe from “*” first.", parameter="stream")
        names = [name for name in readable_streams(holder.current(), rights) if name not in self._session.streams]
        if self._principal.kind == "person":
            await asyncio.to_thread(_record_access, self._principal, names, everything=True)
        try:
            await self._session.subscribe({name: self._resume_query(query, name) for name in names}, later=query)
        except BaseException:
            self._session.followed.leave_unnamed()
            self._restore_positions()
            raise
        self._session.positions.drop_earlier()
        self._resume_position = None
        return {"op": "subscribed", "stream": ALL, "streams": names, "position": self._position}

    def _restore_positions(self) -> None:
        """Keep the resume positions of streams that could not be followed."""
        if self._resume_position is not None:
            self._session.positions.keep_earlier(self._resume_position.without(self._resumed_streams))

    def _resume_query(self, query: TailQuery, stream: str) -> TailQuery:
        """Return the query, beginning at the resume position of the stream. It stays unchanged when it has a position
        of its own, or when the stream was followed since the resume: a client that leaves a stream and follows it again
        gets no event twice.
        """
        if self._resume_position is None or query.after is not None or stream in self._resumed_streams:
            return query
        if (position := self._resume_position.position_of(stream)) is not None:
            return query.resumed(position)
        return (
            replace(query, after=self._resume_position.start_of_later_stream())
            if self._resume_position.of_all
            else query
        )

    def _unsubscribe(self, stream: str) -> dict[str, Any]:
        followed = self._session.positions.of_all if stream == ALL else stream in self._session.streams
        if not followed:
            raise BadParameter(f"“{stream[:100]}” is not followed here.", parameter="stream")
        answer: dict[str, Any] = {"op": "unsubscribed", "stream": stream}
        if stream == ALL:
            self._session.followed.leave_unnamed()
        elif stream in self._named:
            self._named.discard(stream)
            if self._session.followed.leave_named(stream):
                answer["followed_with"] = ALL
        else:
            raise BadParameter(f"“{stream}” is followed with all streams. Unsubscribe from “*”.", parameter="stream")
        return answer | {"position": self._position}

    async def _publish(self, command: Publish) -> dict[str, Any]:
        if not self._may_publish:
            raise Forbidden("A connection that a ticket opened only watches. Open one with a key to publish.")
        catalog = holder.current()
        key = {idempotency.HEADER.lower(): command.idempotency_key} if command.idempotency_key else NO_TEXTS
        request = Request(
            method="POST",
            path=f"/events/{command.stream}",
            params={"stream": command.stream},
            headers={"content-type": JSON, **key},
            body=exact_json.dumps(command.event),
            principal=replace(self._principal, rights=current_rights(self._principal)),
        )
        executor = connections.async_executor_for(catalog.streams.get(command.stream))
        response = await executor.run(pipeline.publish_events(request, catalog, connections.counters))
        return _publish_answer(response)


def _publish_answer(response: Response) -> dict[str, Any]:
    said: dict[str, Any] = {"op": "published", "status": response.status, "body": orjson.Fragment(response.body)}
    return said | ({"replayed": True} if idempotency.REPLAYED in response.headers else {})


def _problem_answer(problem: Problem) -> dict[str, Any]:
    # The traceback would keep the session alive in a reference cycle.
    problem.__traceback__ = None
    said: dict[str, Any] = {"op": "problem", "problem": document(problem)}
    # WebSocket answers have no headers, so the member carries Retry-After.
    seconds = problem.headers.get("Retry-After")
    return said | ({"retry_after": int(seconds)} if seconds else {})


@checked_connections()
def _record_access(by: Principal, streams: Sequence[str], *, everything: bool) -> None:
    payload_access.record_watching(by, streams, everything=everything)
