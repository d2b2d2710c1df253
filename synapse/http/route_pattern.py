"""Patterns of paths that are written as `/streams/{stream}/info`."""

import re

_PART = re.compile(r"\{(\w+)\}")


def expression(path: str) -> str:
    """Return a path's regular expression: a part in braces is one path segment, whatever it holds; a trailing slash is
    the same route."""
    return _PART.sub(r"(?P<\1>[^/]+)", path) + "/?"


def compiled(path: str) -> re.Pattern[str]:
    """Return the pattern of a path with its leading slash."""
    return re.compile(expression(path))
