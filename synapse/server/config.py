"""The configuration of the web server: values of the settings, and the functions of the apps that it calls."""

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

# Status, headers and body of an answer of Django's.
DjangoAnswer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Identify(Protocol):
    """Finds the principal of a request by its headers."""

    def __call__(self, headers: Headers, *, address: str = "") -> Principal:
        """Return the principal.

        Raises:
            Unauthenticated: when the key is not good, or one is required and none is shown.
        """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServerConfig:
    """Settings and functions that the web server works with.

    Attributes:
        allowed_hosts: Which hosts a request may name: names, “.” and a domain, or “*”.
        trusted_proxies: Whose forwarding headers are believed.
        is_open: Whether no key is needed.
        max_body_bytes: How large a request's body may be.
        hsts_seconds: How long browsers shall come by TLS only; 0 for no such header.
        cors_allowed_origins: Pages of which sites may send requests.
        cors_allow_headers: Which headers they may send.
        cors_allow_methods: Which methods they may use.
        cors_expose_headers: Which headers of answers they may read.
        cors_preflight_seconds: How long a browser keeps that.
        csrf_trusted_origins: Further sites whose pages may send requests with a session.
        rate_per_address: How many requests an address may make; None for any number.
        rate_per_key: How many requests a key may make; None for any number.
        identify: Finds the principal of a request.
        is_session: Whether a request shows a session alone, whose person only the database knows.
        shows_metrics_token: Whether a request shows the token of the metrics.
        shares_of: The counter of a shared resource, by its name.
        async_executor: The event loop's connections to Redis.
        database_problem: The answer to an error of the database; None for any other error.
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
    """The sender of a request, as its head tells before its body is read.

    Attributes:
        caller: To whom is counted what the request takes.
        address: Where it comes from.
        refusal: Why the caller is anonymous, where a key is asked for.
    """

    caller: CallerId
    address: str
    refusal: Problem | None = None


PersonOf = Callable[[Headers, str], Awaitable[CallerId | None]]


class Fallback(Protocol):
    """Answers all requests that are not answered on the event loop."""

    async def __call__(self, scope: Scope, body: bytes, sender: Sender) -> DjangoAnswer:
        """Return the answer's status, headers and body.

        Raises:
            ShareUsedUp, AllInUse: when too many such requests wait already, of this caller or of all.
        """

    def sender_of(self, path: str, headers: Headers, address: str) -> Sender:
        """Return the sender of a request: a service, a person whose session is known, or an address."""

    async def person_of(self, headers: Headers, address: str) -> CallerId | None:
        """Return the person that is logged in with the request's session; None without one.

        Raises:
            DatabaseDown: when the database cannot be asked.
        """
