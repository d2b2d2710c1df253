"""Django's URL patterns of paths that the event loop knows as well."""

from typing import Any

from django.urls import URLPattern, re_path

from synapse.http.route_pattern import expression


def route(path: str, view: Any, name: str) -> URLPattern:
    """Return Django's pattern of a path written as `/streams/{stream}/info`.

    A part in braces is one path segment, whatever it holds (the view refuses bad names with a reason); a trailing
    slash is the same route.
    """
    pattern: URLPattern = re_path(f"^{expression(path.lstrip('/'))}$", view, name=name)
    return pattern
