"""URL patterns that mean the same on both lanes."""

import re
from typing import Any

from django.urls import URLPattern, re_path

_PART = re.compile(r"\{(\w+)\}")


def route(path: str, view: Any, name: str) -> URLPattern:
    """Return Django's pattern of a path written as `/streams/{stream}/info`.

    A part in braces is one path segment, whatever it holds (the view refuses bad names with a reason); a trailing
    slash is the same route.
    """
    pattern: URLPattern = re_path("^" + _PART.sub(r"(?P<\1>[^/]+)", path.lstrip("/")) + "/?$", view, name=name)
    return pattern


def compiled(path: str) -> re.Pattern[str]:
    """Return the same pattern for the front door, which sees the leading slash."""
    return re.compile(_PART.sub(r"(?P<\1>[^/]+)", path) + "/?")
