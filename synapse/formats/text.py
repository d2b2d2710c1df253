"""Texts that are cut. A cut is always marked: who looks for something in the text must know that half of it may be
there. Pure.

What stands for nothing at all, made once: for defaults that nobody can write into.
"""

from collections.abc import Mapping
from types import MappingProxyType

CUT = "…"


def cut(text: str, most: int) -> str:
    """Return the text, of one that has more than `most` characters its beginning, with `CUT` where it was cut."""
    return text if len(text) <= most else text[: max(0, most - len(CUT))] + CUT


NO_TEXTS: Mapping[str, str] = MappingProxyType({})
