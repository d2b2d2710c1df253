"""What answers say of being kept: events, and what is said of them, are for who asked alone."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from synapse.http.headers import NO_STORE


def no_store_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let nobody keep an answer that does not say itself who may (a Django middleware)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", NO_STORE)
        return response

    return middleware
