"""The configuration of the web server: values from the settings, and functions of the apps that it calls."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from synapse.auth.client_ip import Proxies
from synapse.auth.principal import Principal
from synapse.formats.durations import Rate
from synapse.problems import Problem
from synapse.redis import AsyncExecutor
from synapse.shares import CallerId, Shares

Headers = Mapping[str, str]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# The status, headers and body of a response from Django.
DjangoAnswer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Identify(Protocol):
    """Finds the principal of a request by its headers."""

    def __call__(self, headers: Headers, *, address: str = "") -> Principal:
        """Return the principal of a request.

        Raises:
            Unauthenticated: when the key is invalid, or a key is required and missing.
        """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServerConfig:
    """Settings and functions that the web server works with.

    Attributes:
        allowed_hosts: The hosts that a request may name: names, “.” and a domain, or “*”.
        trusted_proxies: The proxies whose forwarding headers are believed.
        is_open: Whether no key is needed.
        max_body_bytes: The greatest size of a request's body.
        hsts_seconds: The time for which browsers use only TLS; 0 for no such header.
        cors_allowed_origins: The origins whose pages may send requests.
        cors_allow_headers: The headers that those pages may send.
        cors_allow_methods: The methods that those pages may use.
        cors_expose_headers: The response headers that those pages may read.
        cors_preflight_seconds: The time for which a browser caches these permissions.
        csrf_trusted_origins: Further origins whose pages may send requests with a session.
        rate_per_address: The rate of requests from an address; None for no limit.
        rate_per_key: The rate of requests with a key; None for no limit.
        identify: Finds the principal of a request.
        is_session: Whether a request has only a session, whose person is in the database.
        shows_metrics_token: Whether a request has the token for the metrics.
        shares_of: The counter of a shared resource, by its name.
        async_executor: The event loop's connections to Redis.
        database_problem: The problem for an error of the database; None for any other error.
    """

    allowed_hosts: tuple[str, ...]
    trusted_proxies: Proxies
    is_open: bool
    max_body_bytes: int
    hsts_seconds: int
    cors_allowed_origins: Collection[str]
    cors_allow_headers: Sequence[str]
    cors_allow_methods: Sequence[str]
    cors_expose_headers: Sequence[str]
    cors_preflight_seconds: int
    csrf_trusted_origins: Collection[str]
    rate_per_address: Rate | None
    rate_per_key: Rate | None
    identify: Identify
    is_session: Callable[[Headers], bool]
    shows_metrics_token: Callable[[Headers], bool]
    shares_of: Callable[[str], Shares]
    async_executor: Callable[[], AsyncExecutor]
    database_problem: Callable[[BaseException], Problem | None]


class Sender(NamedTuple):
    """The sender of a request, known from its head before the body is read.

    Attributes:
        caller: The caller to whom the request's use of resources is counted.
        address: The address that the request comes from.
        refusal: The reason why the caller is anonymous, when a key is required.
    """

    caller: CallerId
    address: str
    refusal: Problem | None = None


PersonOf = Callable[[Headers, str], Awaitable[CallerId | None]]


class Fallback(Protocol):
    """Answers all requests that are not answered on the event loop."""

    async def __call__(self, scope: Scope, body: bytes, sender: Sender) -> DjangoAnswer:
        """Return the response's status, headers and body.

        Raises:
            ShareUsedUp, AllInUse: when too many such requests of this caller, or of all, wait already.
        """

    def sender_of(self, path: str, headers: Headers, address: str) -> Sender:
        """Return the sender of a request: a service, a person with a known session, or an address."""

    async def person_of(self, headers: Headers, address: str) -> CallerId | None:
        """Return the person logged in with the request's session, None without one.

        Raises:
            DatabaseDown: when the database is unavailable.
        """
