"""Guard requests on servers without the front door (`runserver`, WSGI): check hosts, CORS and rates, resolve the
client's address, and decode bodies.
"""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from core.views import problem_to_django, to_django
from streams import connections
from synapse.auth.client_ip import FORWARDING
from synapse.http import content_coding
from synapse.http.hosts import allowed_host_error
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import BadRequest, too_large
from synapse.server import request_guard
from synapse.server.config import Headers
from synapse_project.server_config import server_config


def serve_any_host(request: HttpRequest) -> None:
    """Replace the Host of a request that is served for any host, because Django checks the Host for every view."""
    headers = {name.lower(): text for name, text in request.headers.items()}
    version = request.META.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
    if request_guard.may_be_named_otherwise(server_config(), request.path_info, headers, version=version):
        request.META["HTTP_HOST"] = "localhost"


def check_allowed_hosts(app_configs: Sequence[Any] | None = None, **options: Any) -> list[CheckMessage]:
    """Warn of entries of ALLOWED_HOSTS that can match no host (a Django system check)."""
    mistakes = ((entry, allowed_host_error(entry)) for entry in settings.ALLOWED_HOSTS)
    return [
        Warning(f"ALLOWED_HOSTS: “{entry}” matches no host: {mistake}.", id="synapse.W001")
        for entry, mistake in mistakes
        if mistake
    ]


class CorsHeaders(CorsMiddleware):
    """Adds the CORS headers to Django's responses. `guard_middleware` counts and answers preflight requests."""

    def check_preflight(self, request: HttpRequest) -> None:
        return None


Answer = Callable[[HttpRequest], HttpResponse]
_FORWARDING = [f"HTTP_{name.upper().replace('-', '_')}" for name in FORWARDING]


def guard_middleware(get_response: Answer) -> Answer:
    """Resolve the client's address, enforce its rate, and refuse cross-site requests, unless the front door has done
    so.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request_guard.COUNTED in request.META:
            serve_any_host(request)
            return get_response(request)
        _resolve_client(request)
        serve_any_host(request)
        request.get_host()  # raises DisallowedHost for a host that is not ours
        if not (request.META.get("CONTENT_LENGTH") or "0").isdecimal():
            return problem_to_django(BadRequest("The Content-Length is not a number."), request)
        headers = {name.lower(): text for name, text in request.headers.items()}
        config = server_config()
        told: dict[str, str] = {}
        try:
            if request_guard.has_rates(config):
                told = request_guard.count_in_thread(
                    config,
                    request.path_info,
                    request.META.get("REMOTE_ADDR", ""),
                    headers,
                    run=connections.executor().run,
                )
            request_guard.check_origin(config, request.method or "", headers, scheme=request.scheme or "http")
            if "content-encoding" in headers:
                _decode_body(request, headers)
        except FAILURES as failure:
            return problem_to_django(problem_of(failure), request)
        preflight = request_guard.answer_preflight(config, request.method or "", headers)
        response = get_response(request) if preflight is None else to_django(preflight)
        for name, text in told.items():
            response[name] = text
        return response

    return middleware


class _DecodedBody:
    """The input stream of a request. Its body is decoded when it is first read."""

    def __init__(self, stream: Any, headers: Headers) -> None:
        self._stream = stream
        self._headers = headers
        self._decoded: BytesIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the decoded body.

        Raises:
            UnsupportedCoding, BadCoding, PayloadTooLarge: when the body cannot be decoded.
        """
        if self._decoded is None:
            body: bytes = self._stream.read()
            if body and (decoder := content_coding.decoder_of(self._headers)) is not None:
                body = content_coding.decode_body(decoder, body, most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            self._decoded = BytesIO(body)
        return self._decoded.read(size)

    def close(self) -> None:
        """Close the underlying stream."""
        self._stream.close()


def _decode_body(request: HttpRequest, headers: Headers) -> None:
    """Make the body decode when a view of the API reads it, after authenticating the caller. For pages, decode it at
    once, because middleware may read their forms.

    Raises:
        UnsupportedCoding, BadCoding, PayloadTooLarge: when the body of a page's form cannot be decoded.
    """
    stream = _DecodedBody(request._stream, headers)
    if not request.path_info.startswith(reverse("admin:index")):
        request._stream = stream  # type: ignore[assignment]  # Django calls only these two methods
        return
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    body = stream.read()
    request._stream = BytesIO(body)
    request.META["CONTENT_LENGTH"] = str(len(body))


def _resolve_client(request: HttpRequest) -> None:
    peer = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES.has(peer):
        forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR", "")
        request.META["REMOTE_ADDR"] = settings.TRUSTED_PROXIES.client_address(peer, forwarded_for)
        if host := request_guard.forwarded_host(
            server_config(), {name.lower(): text for name, text in request.headers.items()}
        ):
            request.META["HTTP_HOST"] = host
    elif not request.META.keys().isdisjoint(_FORWARDING):
        request_guard.warning.write(peer)
        for name in _FORWARDING:
            request.META.pop(name, None)
