"""The gate for servers without a front door: `runserver`, and WSGI servers."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.views import to_django
from synapse.auth.client_ip import FORWARDING
from synapse.http.exchange import problem_response
from synapse.problems import BadRequest, Problem
from synapse_project import cors, gate, hosts, proxy_warning

Answer = Callable[[HttpRequest], HttpResponse]
_FORWARDING = [f"HTTP_{name.upper().replace('-', '_')}" for name in FORWARDING]


def gate_middleware(get_response: Answer) -> Answer:
    """Find out where a request comes from, count it, and refuse pages of other sites, unless the front door has."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if gate.COUNTED in request.META:
            hosts.serve_any_host(request)
            return get_response(request)
        _see(request)
        hosts.serve_any_host(request)
        request.get_host()  # refuses one that is not ours
        if not (request.META.get("CONTENT_LENGTH") or "0").isdecimal():
            return to_django(problem_response(BadRequest("The Content-Length is no number.")))
        headers = {name.lower(): text for name, text in request.headers.items()}
        told: dict[str, str] = {}
        try:
            if gate.counts():
                told = gate.count_here(request.path_info, request.META.get("REMOTE_ADDR", ""), headers)
            gate.check_origin(request.method or "", headers, scheme=request.scheme or "http")
        except Problem as problem:
            return to_django(problem_response(problem))
        preflight = cors.preflight(request.method or "", headers)
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
        if host := hosts.forwarded_host({name.lower(): text for name, text in request.headers.items()}):
            request.META["HTTP_HOST"] = host
    elif not request.META.keys().isdisjoint(_FORWARDING):
        proxy_warning.warning.write(peer)
        for name in _FORWARDING:
            request.META.pop(name, None)
