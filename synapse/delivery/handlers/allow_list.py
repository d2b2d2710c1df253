"""Which functions may be handlers: those that the settings list. Pure: names alone, nothing is imported."""

import re
from collections.abc import Sequence

from synapse.catalog.file import quoted

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_ENTRY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\.(?:\*|[A-Za-z_]\w*)", re.ASCII)


def is_entry(text: str) -> bool:
    """Say whether a text can stand in the list: a function's dotted path, or `package.module.*`."""
    return _ENTRY.fullmatch(text) is not None


def complaint(path: str, listed: Sequence[str]) -> str:
    """Return why this is no handler that may be used, "" when it may.

    `package.module.*` allows the functions of that module, but for those that begin with `_`.
    """
    if not _PATH.fullmatch(path):
        return f"must be the dotted path of a function, such as shop.handlers.on_order, but is {quoted(path)}"
    module, _, function = path.rpartition(".")
    if path in listed or (f"{module}.*" in listed and not function.startswith("_")):
        return ""
    return f"{quoted(path)} is not on the list of SYNAPSE_HANDLERS, which allows {', '.join(listed) or 'nothing'}"


def must_be_its_modules_own(path: str, listed: Sequence[str]) -> bool:
    """Say whether only a function that its module defines itself may be used: what a `*` allows must not reach what
    the module merely imported."""
    return path not in listed
