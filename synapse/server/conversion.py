"""Conversion between the bytes of HTTP and the values of `synapse.http.exchange`."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from synapse.auth.principal import NOTHING, Principal
from synapse.http.exchange import (
    DATA_POLICY,
    NO_STORE,
    Caller,
    Request,
    Response,
    Route,
    StreamedResponse,
    problem_response,
)
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import Problem
from synapse.server.config import ServerConfig
from synapse.tracing.context import trace_id_of

HeaderPairs = list[tuple[bytes, bytes]]

# The security headers for browsers, equal to those of Django's middleware, as a test checks.
_FOR_BROWSERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", DATA_POLICY),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

logger = logging.getLogger(__name__)


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by name. The values of a repeated header are joined by commas (RFC 9110, 5.3)."""
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in pairs}
    if len(headers) < len(pairs):
        values: dict[str, list[str]] = {}
        for name, text in pairs:
            values.setdefault(name.decode("latin-1"), []).append(text.decode("latin-1"))
        headers = {name: ", ".join(texts) for name, texts in values.items()}
    return headers


def is_for_django(config: ServerConfig, route: Route, headers: Mapping[str, str]) -> bool:
    """Say whether a route's caller is a person with a session. Finding the person takes a query, so Django answers."""
    return route.identify is None and config.is_session(headers)


def principal_of(config: ServerConfig, route: Route, headers: Mapping[str, str], *, address: str) -> Principal:
    """Return the principal of a request by its headers. It is anonymous when the route authenticates callers itself.

    Raises:
        Unauthenticated: when the key is invalid, or a key is required and missing.
    """
    if route.identify is None:
        return config.identify(headers, address=address)
    return Principal(kind="anonymous", name="anonymous", address=address, rights=NOTHING)


def request_of(
    route: Route,
    *,
    params: Mapping[str, str],
    path: str,
    query: bytes,
    headers: Mapping[str, str],
    principal: Principal,
    body: bytes,
) -> Request:
    """Return a request on the event loop as a value."""
    return Request(
        method=route.method,
        path=path,
        params=params,
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        raw_query=query.decode("latin-1"),
        headers=headers,
        body=body,
        principal=principal,
        caller=Caller() if route.waits else None,
    )


def pairs_of(headers: Mapping[str, str]) -> HeaderPairs:
    return [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]


def header_pairs(config: ServerConfig, response: Response | StreamedResponse, asked: Mapping[str, str]) -> HeaderPairs:
    """Return the headers of a response, except its length. `asked` are the headers of the request."""
    headers, vary = response.headers, b"origin"
    if "Vary" in headers:
        headers = dict(headers)
        vary = headers.pop("Vary").encode("latin-1") + b", origin"
    pairs = [*_FOR_BROWSERS, (b"vary", vary)]
    if response.content_type:  # a 304 has no Content-Type
        pairs.insert(0, (b"content-type", response.content_type.encode()))
    if "Cache-Control" not in headers:
        pairs.append((b"cache-control", NO_STORE.encode()))
    pairs += pairs_of(headers)
    if config.hsts_seconds:
        pairs.append((b"strict-transport-security", b"max-age=%d" % config.hsts_seconds))
    origin = asked.get("origin")
    if origin is not None and origin in config.cors_allowed_origins:
        pairs.append((b"access-control-allow-origin", origin.encode("latin-1")))
        pairs.append((b"access-control-expose-headers", ", ".join(config.cors_expose_headers).encode()))
    return pairs


def failure_response(config: ServerConfig, request: Request, error: Exception) -> Response:
    """Return the response to a request whose handler raised an error. Unexpected errors are logged."""
    if isinstance(error, FAILURES):
        return problem_response(problem_of(error), request.headers)
    if (away := config.database_problem(error)) is not None:
        return problem_response(away, request.headers)
    logger.error(
        "%s %s failed", request.method, request.path, exc_info=error, extra={"trace_id": trace_id_of(request.headers)}
    )
    return problem_response(Problem("Something went wrong inside Synapse; its log says more."), request.headers)
