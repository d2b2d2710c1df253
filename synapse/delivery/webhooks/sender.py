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

from synapse.delivery.text_line import escape_unprintable
from synapse.delivery.webhooks import messages
from synapse.delivery.webhooks.messages import Answer
from synapse.delivery.webhooks.resolver import CheckedResolver, Lookup, guarded_socket_factory, system_lookup
from synapse.delivery.webhooks.target import Allowed, Target
from synapse.errors.delivery import FailureClass, SinkError


class TimeLimit:
    """A time limit for many concurrent tasks, each used in a `with`, on one event loop.

    One timer serves all tasks: the limits are equal, so they expire in the order in which they began. A timer for each
    would take a tenth of the time of a request.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        # The deadlines by task, earliest first. Late tasks are removed.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        task = self._current_task()
        self._ends[task] = end = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._cancel_late_tasks)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """End the time limit of the task.

        Raises:
            TimeoutError: when it took too long.
        """
        task = self._current_task()
        is_late = self._ends.pop(task, None) is None
        # A task that somebody else cancelled, too, stays cancelled.
        if is_late and task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _current_task(self) -> asyncio.Task[Any]:
        return cast(asyncio.Task[Any], asyncio.current_task(self._loop))

    def _cancel_late_tasks(self) -> None:
        now = self._loop.time()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end > now:
                self._timer = self._loop.call_at(end, self._cancel_late_tasks)
                return
            del self._ends[task]
            task.cancel()


# Limits in seconds: for opening a connection, and for the rest of an answer after its head.
CONNECT_SECONDS = 5.0
REST_SECONDS = 2.0


class Sender:
    """Sends requests to one target. Create, use and close it on one event loop.

    `headers` are sent with each request. `timeout` (seconds) is for a request and its answer. `permanent` has the
    statuses after which the event is not retried.
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
        # Unchanged, as it was checked: yarl must not normalise it.
        self._url = URL(target.url, encoded=True)

        tls = ssl.create_default_context()

        def session(*, keeps_connections: bool) -> ClientSession:
            connector = TCPConnector(
                limit=concurrency,
                ssl=tls,
                resolver=CheckedResolver(allowed, lookup),
                socket_factory=guarded_socket_factory(allowed, "" if target.address else target.host),
                force_close=not keeps_connections,
            )
            return ClientSession(
                connector=connector,
                headers=headers,
                # A CloudEvent without data has no content type.
                skip_auto_headers=("Content-Type",),
                timeout=ClientTimeout(sock_connect=min(CONNECT_SECONDS, timeout)),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=messages.MOST_BYTES // 2,
                trust_env=False,
                trace_configs=[_reuse_tracing()] if keeps_connections else [],
            )

        self._session = session(keeps_connections=True)
        # For repeating requests that failed on a reused connection: opens a new one for each request.
        self._fresh = session(keeps_connections=False)

    async def send(self, headers: Mapping[str, str], body: bytes) -> None:
        """Send one event.

        Raises:
            SinkError: when it was not taken.
        """
        begun = time.monotonic()
        try:
            with self._limit:
                response = await self._post(headers, body)
                if response.content.at_eof() and messages.is_success(response.status):
                    # The connection is already back in the pool.
                    return
                answer = await _read_answer(response, int((time.monotonic() - begun) * 1000))
        except (TimeoutError, ClientError, OSError) as error:
            failure: FailureClass = "timeout" if isinstance(error, TimeoutError) else "connection"
            raise SinkError(self._explain(error), failure=failure) from error
        if not messages.is_success(answer.status):
            raise messages.error_of(answer, permanent=self._permanent, now=time.time())

    async def send_and_read(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one event, and return the answer with any status.

        Raises:
            SinkError: when there is no answer.
        """
        begun = time.monotonic()
        try:
            with self._limit:
                response = await self._post(headers, body)
                return await _read_answer(response, int((time.monotonic() - begun) * 1000))
        except (TimeoutError, ClientError, OSError) as error:
            raise SinkError(self._explain(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        self._limit.close()
        await self._session.close()
        await self._fresh.close()

    async def _post(self, headers: Mapping[str, str], body: bytes) -> ClientResponse:
        """Send a request. If a reused connection ends without any byte of an answer, send it again on a new one.

        The receiver closed the idle connection, which is not a failure of the event (RFC 9112, 9.3.1). It may have
        taken the event nevertheless: both requests have the same id, by which it can recognise the second.
        """
        connection = _Connection()
        options: dict[str, Any] = {"data": body, "headers": headers, "allow_redirects": False}
        try:
            return await self._session.post(self._url, **options, trace_request_ctx=connection)
        except (ServerDisconnectedError, ClientOSError) as error:
            if not connection.is_reused or _is_answered(error):
                raise
        return await self._fresh.post(self._url, **options)

    def _explain(self, error: Exception) -> str:
        place = f"{self._target.host}:{self._target.port}"
        match error:
            case ConnectionTimeoutError():
                return f"No connection to {place} within {min(CONNECT_SECONDS, self._timeout):g} s"
            case TimeoutError():
                return f"{place} did not answer within {self._timeout:g} s"
            case ClientConnectorDNSError():
                return f"The name {self._target.host} cannot be resolved: {_reason_of(error.os_error)}"
            case ClientConnectorCertificateError() | ClientSSLError():
                return f"No secure connection to {place}: {_reason_of(error)}"
            case ClientConnectorError():
                return f"No connection to {place}: {_reason_of(error.os_error)}"
            case ClientResponseError():
                return f"What {place} answered is not HTTP, or more than is read: {_reason_of(error)}"
        return f"{place} closed the connection without an answer: {_reason_of(error)}"


class _Connection:
    """The connection of a request: whether it was used before."""

    is_reused = False


def _reuse_tracing() -> TraceConfig:
    """Return a tracing configuration that records in a request's `_Connection` that the connection was reused."""

    async def record_reuse(session: ClientSession, context: Any, parameters: object) -> None:
        context.trace_request_ctx.is_reused = True

    config = TraceConfig()
    config.on_connection_reuseconn.append(record_reuse)
    return config


def _is_answered(error: Exception) -> bool:
    """Say whether a connection ended in the middle of an answer."""
    return isinstance(error, ServerDisconnectedError) and not isinstance(error.message, str)


async def _read_answer(response: ClientResponse, ms: int) -> Answer:
    """Read the answer, whose head arrived after `ms` milliseconds."""
    async with response:
        text = b"" if response.content.at_eof() else await _read_beginning(response)
        return Answer(
            status=response.status,
            text=messages.response_text(text, is_all=response.content.at_eof()),
            ms=ms,
            retry_after=response.headers.get("Retry-After", ""),
        )


async def _read_beginning(response: ClientResponse) -> bytes:
    """Read the beginning of an answer's body, up to the limits. If there is more, the connection is closed."""
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


def _reason_of(error: BaseException) -> str:
    """Return the text of an error as one line, without the URL's query."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    text = getattr(error, "strerror", "") or getattr(error, "message", "") or str(error) or type(error).__name__
    return escape_unprintable(" ".join(text.partition("?")[0].split())[:200])
