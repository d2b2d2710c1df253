"""Guard requests on servers without the front door (`runserver`, WSGI): hosts, CORS, client address, rates."""

from collections.abc import Callable, Sequence
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.http import HttpRequest, HttpResponse

from core.views import to_django
from streams import connections
from synapse.auth.client_ip import FORWARDING
from synapse.http.exchange import problem_response
from synapse.http.hosts import allowed_host_mistake
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import BadRequest
from synapse.server import request_guard
from synapse_project.server_config import server_config


def serve_any_host(request: HttpRequest) -> None:
    """Replace the Host of a request that is served for any host, because Django checks the host for every view."""
    headers = {name.lower(): text for name, text in request.headers.items()}
    version = request.META.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
    if request_guard.may_be_named_otherwise(server_config(), request.path_info, headers, version=version):
        request.META["HTTP_HOST"] = "localhost"


def check_allowed_hosts(app_configs: Sequence[Any] | None = None, **options: Any) -> list[CheckMessage]:
    """Warn of each entry of ALLOWED_HOSTS that matches no host (Django's system checks)."""
    mistakes = ((entry, allowed_host_mistake(entry)) for entry in settings.ALLOWED_HOSTS)
    return [
        Warning(f"ALLOWED_HOSTS: “{entry}” matches no host: {mistake}.", id="synapse.W001")
        for entry, mistake in mistakes
        if mistake
    ]


class CorsHeaders(CorsMiddleware):
    """Adds the CORS headers to Django's answers. `guard_middleware` counts and answers preflights."""

    def check_preflight(self, request: HttpRequest) -> None:
        return None


Answer = Callable[[HttpRequest], HttpResponse]
_FORWARDING = [f"HTTP_{name.upper().replace('-', '_')}" for name in FORWARDING]


def guard_middleware(get_response: Answer) -> Answer:
    """Resolve the client's address, enforce its rate, and refuse pages of other sites, unless the front door did."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request_guard.COUNTED in request.META:
            serve_any_host(request)
            return get_response(request)
        _resolve_client(request)
        serve_any_host(request)
        request.get_host()  # refuses a host that is not ours
        if not (request.META.get("CONTENT_LENGTH") or "0").isdecimal():
            return to_django(problem_response(BadRequest("The Content-Length is not a number.")))
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
        except FAILURES as failure:
            return to_django(problem_response(problem_of(failure)))
        preflight = request_guard.answer_preflight(config, request.method or "", headers)
        response = get_response(request) if preflight is None else to_django(preflight)
        for name, text in told.items():
            response[name] = text
        return response

    return middleware


def _resolve_client(request: HttpRequest) -> None:
    peer = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES.has(peer):
        forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR", "")
        request.META["REMOTE_ADDR"] = settings.TRUSTED_PROXIES.client(peer, forwarded_for)
        if host := request_guard.forwarded_host(
            server_config(), {name.lower(): text for name, text in request.headers.items()}
        ):
            request.META["HTTP_HOST"] = host
    elif not request.META.keys().isdisjoint(_FORWARDING):
        request_guard.warning.write(peer)
        for name in _FORWARDING:
            request.META.pop(name, None)
