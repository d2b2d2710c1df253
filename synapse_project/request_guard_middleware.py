"""The gate for servers without a front door: `runserver`, and WSGI servers."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.views import to_django
from streams import connections
from synapse.auth.client_ip import FORWARDING
from synapse.http.exchange import problem_response
from synapse.problems import BadRequest, Problem
from synapse.server import (
    cors,
    hosts,
    proxy_warning,
    request_guard,
)
from synapse_project import host_checks
from synapse_project.server_config import server_config

Answer = Callable[[HttpRequest], HttpResponse]
_FORWARDING = [f"HTTP_{name.upper().replace('-', '_')}" for name in FORWARDING]


def gate_middleware(get_response: Answer) -> Answer:
    """Find out where a request comes from, count it, and refuse pages of other sites, unless the front door has."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request_guard.COUNTED in request.META:
            host_checks.serve_any_host(request)
            return get_response(request)
        _see(request)
        host_checks.serve_any_host(request)
        request.get_host()  # refuses one that is not ours
        if not (request.META.get("CONTENT_LENGTH") or "0").isdecimal():
            return to_django(problem_response(BadRequest("The Content-Length is no number.")))
        headers = {name.lower(): text for name, text in request.headers.items()}
        config = server_config()
        told: dict[str, str] = {}
        try:
            if request_guard.counts(config):
                told = request_guard.count_here(
                    config,
                    request.path_info,
                    request.META.get("REMOTE_ADDR", ""),
                    headers,
                    run=connections.executor().run,
                )
            request_guard.check_origin(config, request.method or "", headers, scheme=request.scheme or "http")
        except Problem as problem:
            return to_django(problem_response(problem))
        preflight = cors.preflight(config, request.method or "", headers)
        response = get_response(request) if preflight is None else to_django(preflight)
        for name, text in told.items():
            response[name] = text
        return response

    return middleware


def _see(request: HttpRequest) -> None:
    peer = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES.has(peer):
        forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR", "")
        request.META["REMOTE_ADDR"] = settings.TRUSTED_PROXIES.client(peer, forwarded_for)
        if host := hosts.forwarded_host(
            server_config(), {name.lower(): text for name, text in request.headers.items()}
        ):
            request.META["HTTP_HOST"] = host
    elif not request.META.keys().isdisjoint(_FORWARDING):
        proxy_warning.warning.write(peer)
        for name in _FORWARDING:
            request.META.pop(name, None)
