"""The express lane's short way: a request of the event loop is answered from the parser, and never becomes ASGI.

What ASGI asks for is a task, an event and a dozen dictionaries a request: more than all the work of storing an event.
So a route that has a `direct` way is answered by the callbacks of two connections: the client's, which hands over the
request, and Redis', which hands over the reply. Everything else goes on through uvicorn and the front door. Both ways
share the front door's routes, its checks and its headers.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from core.http import Request, Response, Route, StreamedResponse, nobody, problem_response
from core.principal import ANONYMOUS
from core.problems import Problem
from synapse_project import gate
from synapse_project.bodies import Room
from synapse_project.front_door import FrontDoor
from synapse_project.http_values import (
    HeaderPairs,
    check_announced,
    check_host,
    check_read,
    failed,
    header_pairs,
    headers_of,
    is_for_django,
    principal_of,
    request_of,
)


@dataclass(frozen=True, slots=True)
class _Head:
    """A request without its body. `address` is that of who asks, behind the proxies that are trusted."""

    route: Route
    params: Mapping[str, str]
    path: str
    query: bytes
    headers: Mapping[str, str]
    address: str


class DirectCycle:
    """One request and its answer. uvicorn looks at the same names of its own cycle, so both stand in one queue."""

    def __init__(self, protocol: "DirectHttpProtocol", head: "_Head") -> None:
        self._protocol = protocol
        self._head = head
        self._started = False
        self._share = protocol.room.open()
        self._principal = ANONYMOUS
        self.body = bytearray()
        self.more_body = True
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.keep_alive = protocol.parser.get_http_version() != "1.0" and protocol.parser.should_keep_alive()
        self.response_started = False
        self.response_complete = False
        self._disconnected = False

    @property
    def message_event(self) -> "DirectCycle":
        """What uvicorn sets to wake its own cycle."""
        return self

    def set(self) -> None:
        """Do nothing: nobody sleeps here."""

    @property
    def disconnected(self) -> bool:
        """Whether the client has gone."""
        return self._disconnected

    @disconnected.setter
    def disconnected(self, gone: bool) -> None:
        self._disconnected = gone
        self._let_go()

    def start(self) -> None:
        """Begin: all earlier requests of the connection are answered. What can be refused by its head, is."""
        self._started = True
        if self._protocol.transport.is_closing():
            return  # whoever asked has gone before it was this request's turn
        try:
            check_host(self._head.headers)
            self._principal = principal_of(self._head.route, self._head.headers, address=self._head.address)
            check_announced(self._head.headers)
            self._check_size()
        except Problem as problem:
            self._respond(problem_response(problem))
            return
        if not self.more_body:
            self._run()
        elif self.waiting_for_100_continue:
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self, part: bytes) -> None:
        """Add a part of the body. What comes after the answer is of no use to anybody."""
        if self.response_complete or self._disconnected:
            return
        self.body += part
        if not self._started:
            return
        try:
            self._check_size()
        except Problem as problem:
            self._respond(problem_response(problem))

    def end(self) -> None:
        """Note that the request is whole."""
        self.more_body = False
        if self._started and not self.response_complete:
            self._run()

    def _check_size(self) -> None:
        check_read(len(self.body))
        self._share.grow(len(self.body))

    def _let_go(self) -> None:
        self._share.give_back()
        # The connection holds its last request for as long as it lasts.
        self.body = bytearray()

    def _run(self) -> None:
        head = self._head
        body, self.body = bytes(self.body), bytearray()
        request = request_of(
            head.route,
            params=head.params,
            path=head.path,
            query=head.query,
            headers=head.headers,
            principal=self._principal,
            body=body,
        )
        direct = head.route.direct
        try:
            begun = direct is not None and direct(request, self._respond, lambda error: self._fail(request, error))
        except Exception as error:  # not hidden: it is logged, and answered with a 500
            self._fail(request, error)
            return
        if not begun:
            self._protocol.run_aside(self._handle(request))

    async def _handle(self, request: Request) -> None:
        try:
            response = await self._head.route.handler(request)
        except Exception as error:  # as above
            self._fail(request, error)
        else:
            if isinstance(response, StreamedResponse):
                raise TypeError(f"{self._head.route.path} has a direct way and streams its answer")
            self._respond(response)

    def _fail(self, request: Request, error: Exception) -> None:
        self._respond(failed(request, error))

    def _respond(self, response: Response) -> None:
        if self._disconnected or self.response_complete:
            return
        self.response_started = self.response_complete = True
        self._let_go()
        transport = self._protocol.transport
        if transport.is_closing():
            # uvloop raises when it is to write then, and that would go up to whoever brought Redis' replies to all.
            # `disconnected` does not tell: it is set on the connection's last request.
            return
        parts = [STATUS_LINE[response.status]]
        for name, text in self._protocol.server_state.default_headers:
            parts += (name, b": ", text, b"\r\n")
        if response.headers or "origin" in self._head.headers:
            parts.append(_written(header_pairs(response, self._head.headers)))
        else:
            parts.append(_usual_head(response.content_type, settings.SECURE_HSTS_SECONDS))
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"content-length: %d\r\n\r\n" % len(response.body))
        parts.append(response.body)
        transport.write(b"".join(parts))
        if not self.keep_alive:
            transport.close()
        self._protocol.answered()


class DirectHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which answers the direct routes of a front door itself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        app = self.config.loaded_app
        self._door = app if isinstance(app, FrontDoor) else None
        self.room = self._door.room if self._door else Room()
        # The request that uvicorn's way answers now; `cycle` is the one that came last.
        self._running: Any = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        # A request and its connection hold each other, and the collector seldom comes by (synapse_project.lifespan).
        self.pipeline.clear()
        self._running = None
        self.cycle = None  # type: ignore[assignment]
        self._unset_keepalive_if_required()  # uvicorn does so only when the connection was not broken

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        cycle = self._direct_cycle()
        if cycle is None:
            self._take_the_long_way()
            return
        before, self.cycle = self.cycle, cycle  # type: ignore[assignment]  # it has what uvicorn looks at
        if before is None or before.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]

    def _direct_cycle(self) -> DirectCycle | None:
        if self._door is None or gate.counts() or self.parser.should_upgrade():
            return None
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        route, params = self._door.route(self.parser.get_method().decode("ascii"), path)
        if route is None or route.direct is None or route.identify not in (None, nobody):
            return None
        scope, headers = gate.seen({"client": self.client, "headers": self.headers}, headers_of(self.headers))
        if is_for_django(route, headers):
            return None
        address = scope["client"][0] if scope["client"] else ""
        return DirectCycle(self, _Head(route, params, path, url.query or b"", headers, address))

    def _take_the_long_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes what ASGI asks for
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def waits(self) -> bool:
        """Say whether the request that came last is one whose caller may leave before it is answered."""
        if self._door is None or self.cycle is None or isinstance(self.cycle, DirectCycle):
            return False
        route, _ = self._door.route(self.cycle.scope["method"], self.cycle.scope["path"])
        return route is not None and route.waits

    def on_body(self, body: bytes) -> None:
        if not isinstance(self.cycle, DirectCycle):
            super().on_body(body)
        elif not self.cycle.response_complete:
            self.cycle.take(body)

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, DirectCycle):
            self.cycle.end()
        else:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if isinstance(cycle, DirectCycle):
            # Not at once: of many that came together each would begin inside the one before it.
            self.loop.call_soon(cycle.start)
        else:
            self._running = cycle
            super()._start_asgi_task(cycle, app)

    def answered(self) -> None:
        """Go on to the connection's next request, as soon as the client has taken enough of the answer."""
        if self.flow.write_paused:
            self.run_aside(self._answered_later())
        else:
            self.on_response_complete()

    async def _answered_later(self) -> None:
        await self.flow.drain()
        self.on_response_complete()

    def run_aside(self, work: Any) -> None:
        """Run a coroutine as uvicorn runs those of ASGI: the server waits for it when it stops."""
        task: asyncio.Task[None] = self.loop.create_task(work)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


@lru_cache(maxsize=16)
def _usual_head(content_type: str, hsts_seconds: int) -> bytes:
    """Return the headers that every answer of the kind has; one of them tells the seconds."""
    return _written(header_pairs(Response(content_type=content_type), {}))


def _written(pairs: HeaderPairs) -> bytes:
    # A value of several lines would be read as several headers, or as the body.
    lines = [name + b": " + text.replace(b"\r", b" ").replace(b"\n", b" ") for name, text in pairs]
    return b"\r\n".join([*lines, b""])
