"""Send many webhook requests at once, each with a deadline."""

import asyncio
import os
import ssl
import time
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, cast

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
    TraceConfig,
)
from yarl import URL

from synapse.delivery.text_line import harmless
from synapse.delivery.webhooks import messages
from synapse.delivery.webhooks.messages import Answer
from synapse.delivery.webhooks.resolver import CheckedResolver, Lookup, guarded_socket, system_lookup
from synapse.delivery.webhooks.target import Allowed, Target
from synapse.errors.delivery import FailureClass, SinkError


class TimeLimit:
    """A time limit for the work of each of many tasks inside a `with`. Use it on one event loop.

    One timer serves all of them: their limits are equal, so they run out in the order of their beginning. A timer for
    each would take a tenth of the time that a request takes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        # The deadlines by task, earliest first. Tasks whose time ran out are removed.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        task = self._task()
        self._ends[task] = end = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._look)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Let the task continue.

        Raises:
            TimeoutError: when it took too long.
        """
        task = self._task()
        is_late = self._ends.pop(task, None) is None
        # A task that was cancelled from elsewhere as well stays cancelled.
        if is_late and task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _task(self) -> asyncio.Task[Any]:
        return cast(asyncio.Task[Any], asyncio.current_task(self._loop))

    def _look(self) -> None:
        now = self._loop.time()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end > now:
                self._timer = self._loop.call_at(end, self._look)
                return
            del self._ends[task]
            task.cancel()


# How long a connection may take, and how long to wait for the rest of an answer whose status is known, in seconds.
CONNECT_SECONDS = 5.0
REST_SECONDS = 2.0


class Sender:
    """Sends to one target. To be made, used and closed on one event loop.

    `headers` go with every request. `timeout` (seconds) is for one and its answer. `permanent`: the answers after which
    trying again is of no use.
    """

    def __init__(
        self,
        target: Target,
        allowed: Allowed,
        *,
        headers: Mapping[str, str],
        timeout: float,
        concurrency: int,
        permanent: Collection[int],
        lookup: Lookup = system_lookup,
    ) -> None:
        self._target = target
        self._allowed = allowed
        self._timeout = timeout
        self._limit = TimeLimit(timeout)
        self._permanent = permanent
        # As it was checked: nothing in it is to be read in another way.
        self._url = URL(target.url, encoded=True)

        tls = ssl.create_default_context()

        def session(*, keeps_connections: bool) -> ClientSession:
            connector = TCPConnector(
                limit=concurrency,
                ssl=tls,
                resolver=CheckedResolver(allowed, lookup),
                socket_factory=guarded_socket(allowed, "" if target.address else target.host),
                force_close=not keeps_connections,
            )
            return ClientSession(
                connector=connector,
                headers=headers,
                # An event without data has no type of its content.
                skip_auto_headers=("Content-Type",),
                timeout=ClientTimeout(sock_connect=min(CONNECT_SECONDS, timeout)),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=messages.MOST_BYTES // 2,
                trust_env=False,
                trace_configs=[_noting_reuse()] if keeps_connections else [],
            )

        self._session = session(keeps_connections=True)
        # For what failed on a connection that was used before: each of its requests has a new one.
        self._fresh = session(keeps_connections=False)

    async def send(self, headers: Mapping[str, str], body: bytes) -> None:
        """Send one event.

        Raises:
            SinkError: when it was not taken.
        """
        begun = time.monotonic()
        try:
            with self._limit:
                response = await self._response(headers, body)
                if response.content.at_eof() and messages.is_success(response.status):
                    # The connection went back already, with the last byte.
                    return
                answer = await _answer(response, int((time.monotonic() - begun) * 1000))
        except (TimeoutError, ClientError, OSError) as error:
            failure: FailureClass = "timeout" if isinstance(error, TimeoutError) else "connection"
            raise SinkError(self._explained(error), failure=failure) from error
        if not messages.is_success(answer.status):
            raise messages.failure(answer, permanent=self._permanent, now=time.time())

    async def ask(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one event, and return the answer with any status.

        Raises:
            SinkError: when there is none.
        """
        begun = time.monotonic()
        try:
            with self._limit:
                response = await self._response(headers, body)
                return await _answer(response, int((time.monotonic() - begun) * 1000))
        except (TimeoutError, ClientError, OSError) as error:
            raise SinkError(self._explained(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        self._limit.close()
        await self._session.close()
        await self._fresh.close()

    async def _response(self, headers: Mapping[str, str], body: bytes) -> ClientResponse:
        """Send a request, and once more on a new connection when one that was kept ends without a byte of an answer.

        The receiver closed it meanwhile, which is no failure of the event (RFC 9112, 9.3.1). It may have taken the
        event nevertheless: the request has the id of the first one, so the receiver can tell.
        """
        connection = _Connection()
        options: dict[str, Any] = {"data": body, "headers": headers, "allow_redirects": False}
        try:
            return await self._session.post(self._url, **options, trace_request_ctx=connection)
        except (ServerDisconnectedError, ClientOSError) as error:
            if not connection.is_reused or _is_answered(error):
                raise
        return await self._fresh.post(self._url, **options)

    def _explained(self, error: Exception) -> str:
        place = f"{self._target.host}:{self._target.port}"
        match error:
            case ConnectionTimeoutError():
                return f"No connection to {place} within {min(CONNECT_SECONDS, self._timeout):g} s"
            case TimeoutError():
                return f"{place} did not answer within {self._timeout:g} s"
            case ClientConnectorDNSError():
                return f"The name {self._target.host} cannot be resolved: {_reason(error.os_error)}"
            case ClientConnectorCertificateError() | ClientSSLError():
                return f"No secure connection to {place}: {_reason(error)}"
            case ClientConnectorError():
                return f"No connection to {place}: {_reason(error.os_error)}"
            case ClientResponseError():
                return f"What {place} answered is not HTTP, or more than is read: {_reason(error)}"
        return f"{place} closed the connection without an answer: {_reason(error)}"


class _Connection:
    """The connection of a request: whether it was used before."""

    is_reused = False


def _noting_reuse() -> TraceConfig:
    """Return the tracing that records reuse of the connection in a request's `_Connection`."""

    async def note(session: ClientSession, context: Any, parameters: object) -> None:
        context.trace_request_ctx.is_reused = True

    config = TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


def _is_answered(error: Exception) -> bool:
    """Say whether a connection ended in the middle of an answer."""
    return isinstance(error, ServerDisconnectedError) and not isinstance(error.message, str)


async def _answer(response: ClientResponse, ms: int) -> Answer:
    """Return the answer, which began after so many milliseconds."""
    async with response:
        text = b"" if response.content.at_eof() else await _beginning(response)
        return Answer(
            status=response.status,
            text=messages.beginning(text, is_all=response.content.at_eof()),
            ms=ms,
            retry_after=response.headers.get("Retry-After", ""),
        )


async def _beginning(response: ClientResponse) -> bytes:
    """Read an answer as far as it is read at all. A connection with more to come is not used again."""
    text = b""
    try:
        async with asyncio.timeout(REST_SECONDS):
            while len(text) < messages.MOST_BYTES and not response.content.at_eof():
                text += await response.content.readany()
    except (TimeoutError, ClientError, OSError):
        response.close()
    if not response.content.at_eof():
        response.close()
    return text


def _reason(error: BaseException) -> str:
    """Return the text of an error, in a line that shows nothing of the URL's query."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    text = getattr(error, "strerror", "") or getattr(error, "message", "") or str(error) or type(error).__name__
    return harmless(" ".join(text.partition("?")[0].split())[:200])
