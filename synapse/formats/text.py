"""Shorten texts with a visible mark, and share one empty mapping as a default that nobody can write into."""

from collections.abc import Mapping
from types import MappingProxyType

CUT = "…"


def cut(text: str, most: int) -> str:
    """Return the text, of one that has more than `most` characters its beginning, with `CUT` where it was cut."""
    return text if len(text) <= most else text[: max(0, most - len(CUT))] + CUT


NO_TEXTS: Mapping[str, str] = MappingProxyType({})
