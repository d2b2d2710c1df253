"""The functions that may be handlers, and a handler in the form that the child calls.

The settings list the functions. Every kind of handler takes deliveries and returns when it is done.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from synapse.catalog.file import quoted
from synapse.delivery.sink import Delivery

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_ENTRY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\.(?:\*|[A-Za-z_]\w*)", re.ASCII)


def is_entry(text: str) -> bool:
    """Say whether a text can stand in the list: a function's dotted path, or `package.module.*`."""
    return _ENTRY.fullmatch(text) is not None


def complaint(path: str, listed: Sequence[str]) -> str:
    """Return why a path is not a permitted handler, "" when it is.

    `package.module.*` permits the functions of that module, except names that begin with `_`.
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


Handle = Callable[[Sequence[Delivery]], None]


class BadHandler(Exception):
    """The handler cannot be used; the message says why."""


def load(path: str, listed: Sequence[str]) -> Callable[..., Any]:
    """Return the function of a dotted path; `listed` are those that may be used.

    Raises:
        BadHandler: when it may not be used or is no function.
        Exception: an error of importing its module.
    """
    if why := complaint(path, listed):
        raise BadHandler(why)
    module, _, name = path.rpartition(".")
    function = getattr(import_module(module), name, None)
    if not callable(function):
        raise BadHandler(f"the module {module} has no function {name}")
    if must_be_its_modules_own(path, listed) and getattr(function, "__module__", None) != module:
        raise BadHandler(f"{module} only imports {name}; to be used, SYNAPSE_HANDLERS must name {path} in full")
    found: Callable[..., Any] = function
    return found


def one_by_one(function: Callable[..., Any]) -> Handle:
    """Return a call of `function(event, delivery)` for a single delivery. The function's return value is ignored."""
    wait_for = _Loop()

    def handle(deliveries: Sequence[Delivery]) -> None:
        (delivery,) = deliveries
        answer = function(delivery.event, delivery)
        # An asynchronous function has done nothing yet, and a plain one may return an awaitable.
        if answer is not None and inspect.isawaitable(answer):
            wait_for(answer)

    return handle


def together(function: Callable[..., Any]) -> Handle:
    """Return a call of `function(events, deliveries)` for many deliveries."""
    wait_for = _Loop()

    def handle(deliveries: Sequence[Delivery]) -> None:
        answer = function([delivery.event for delivery in deliveries], list(deliveries))
        if answer is not None and inspect.isawaitable(answer):
            wait_for(answer)

    return handle


class _Loop:
    """An event loop that lives as long as the child: what a handler keeps in it (a client, a pool) stays usable."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, awaitable: Any) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(_awaited(awaitable))


async def _awaited(awaitable: Any) -> None:
    await awaitable
