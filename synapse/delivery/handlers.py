"""Handler functions: which may run, how they are called, and what passes between a process and its handlers' children.

The settings list the functions. Every kind of handler takes deliveries and returns when it is done.

Down the pipe go the handler's name and batches, in Python's own serialisation (one Python on both ends). Up come
results as JSON: a handler may write to any file it finds, so nothing that is read here can do harm. The child notes
each event's progress in shared memory that outlives it, kill -9 included: the parent knows which events were handled
and which one was in flight, at next to no cost for each event.
"""

import asyncio
import inspect
import marshal
import mmap
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import orjson

from synapse.catalog.file import quoted
from synapse.delivery.sink import Delivery
from synapse.errors.delivery import SinkDisabled, SinkError
from synapse.formats import exact_json
from synapse.formats.text import cut
from synapse.tracing.context import TraceContext
from synapse.wire.encoding import VERSION, DecodedEntry, TopLevelTypes

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_ENTRY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\.(?:\*|[A-Za-z_]\w*)", re.ASCII)


def is_allowed_path(text: str) -> bool:
    """Say whether a text can be an entry of the list: a function's dotted path, or `package.module.*`."""
    return _ENTRY.fullmatch(text) is not None


def refusal_of(path: str, listed: Sequence[str]) -> str:
    """Return why a path is not a permitted handler, "" when it is.

    `package.module.*` permits the functions of that module, except names that begin with `_`.
    """
    if not _PATH.fullmatch(path):
        return f"must be the dotted path of a function, such as shop.handlers.on_order, but is {quoted(path)}"
    module, _, function = path.rpartition(".")
    if path in listed or (f"{module}.*" in listed and not function.startswith("_")):
        return ""
    return f"{quoted(path)} is not on the list of SYNAPSE_HANDLERS, which allows {', '.join(listed) or 'nothing'}"


def must_be_defined_in_module(path: str, listed: Sequence[str]) -> bool:
    """Say whether only a function that its module defines itself may be used: what a `*` allows must not reach what
    the module merely imported."""
    return path not in listed


Handle = Callable[[Sequence[Delivery]], None]


class BadHandler(Exception):
    """The handler cannot be used; the message says why."""


def load_handler(path: str, listed: Sequence[str]) -> Callable[..., Any]:
    """Return the function of a dotted path; `listed` are those that may be used.

    Raises:
        BadHandler: when it may not be used or is no function.
        Exception: an error of importing its module.
    """
    if why := refusal_of(path, listed):
        raise BadHandler(why)
    module, _, name = path.rpartition(".")
    function = getattr(import_module(module), name, None)
    if not callable(function):
        raise BadHandler(f"the module {module} has no function {name}")
    if must_be_defined_in_module(path, listed) and getattr(function, "__module__", None) != module:
        raise BadHandler(f"{module} only imports {name}; to be used, SYNAPSE_HANDLERS must name {path} in full")
    found: Callable[..., Any] = function
    return found


def call_with_event(function: Callable[..., Any]) -> Handle:
    """Return a call of `function(event, delivery)` for a single delivery. The function's return value is ignored."""
    wait_for = _Loop()

    def handle(deliveries: Sequence[Delivery]) -> None:
        (delivery,) = deliveries
        answer = function(delivery.event, delivery)
        # An asynchronous function has done nothing yet, and a plain one may return an awaitable.
        if answer is not None and inspect.isawaitable(answer):
            wait_for(answer)

    return handle


def call_with_batch(function: Callable[..., Any]) -> Handle:
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


# A byte for each event: its outcome so far. Memory that was never written is 0.
UNTOUCHED, BEGUN, TAKEN, RAISED = range(4)
# The first byte is the parent's word to the child; the notes follow.
_STOP = 0
_NOTES = 1


class SharedProgress:
    """Notes for up to `size` events. Each side has its own object over the same file."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._memory = mmap.mmap(descriptor, _NOTES + size)
        self._notes = memoryview(self._memory)[_NOTES:]

    def clear(self, count: int) -> None:
        """Begin again with `count` events."""
        self._memory[_STOP] = 0
        self._notes[:count] = bytes(count)

    def stop(self) -> None:
        """Ask the child to begin no further event."""
        self._memory[_STOP] = 1

    @property
    def stopped(self) -> bool:
        """Whether no further event is to be begun."""
        return self._memory[_STOP] == 1

    def note(self, place: int, what: int) -> None:
        """Record the outcome of an event."""
        self._notes[place] = what

    def notes(self, count: int) -> bytes:
        """Return the recorded outcomes of the first `count` events."""
        return bytes(self._notes[:count])

    def close(self) -> None:
        """Release the memory."""
        self._notes.release()
        self._memory.close()


def make_file(size: int) -> int:
    """Return the descriptor of a new file for a board; its owner closes it."""
    with tempfile.TemporaryFile(prefix="synapse-handler-") as file:
        file.truncate(_NOTES + size)
        return os.dup(file.fileno())


_MOST_TEXT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The instructions for a child: the handler's dotted path, the permitted paths, whether it takes many events at
    once, how many there may be, and how long (seconds) a call may take."""

    handler: str
    allowed: Sequence[str]
    batch: bool
    size: int
    timeout: float


def pack_batch(batch: Sequence[Delivery]) -> bytes:
    """Return a batch as bytes. The deliveries are of one stream, and their types are known alike."""
    first = batch[0]
    rows = [
        (delivery.id, delivery.attempt, delivery.parts, _read_here(delivery), _span_of(delivery)) for delivery in batch
    ]
    return marshal.dumps((first.stream, _plain(first.types_of), rows))


def unpack_batch(data: bytes) -> list[Delivery]:
    """Return the batch that was packed."""
    stream, types_of, rows = marshal.loads(data)  # noqa: S302 - from our own parent
    batch = []
    for id_, attempt, parts, read, span in rows:
        delivery = Delivery(stream=stream, id=id_, attempt=attempt, parts=parts, types_of=types_of)
        if span is not None:
            delivery.trace = TraceContext(*span)
        if read is not None:
            event, *others = read
            delivery.entry = DecodedEntry(exact_json.loads(event), *others)
        batch.append(delivery)
    return batch


def _span_of(delivery: Delivery) -> tuple[Any, ...] | None:
    """Return the context of an attempt that is traced; the child reads that of the entry by itself."""
    return None if delivery.span is None else tuple(delivery.span.context)


def _read_here(delivery: Delivery) -> tuple[Any, ...] | None:
    """Return an entry of another program as its contract reads it: the child has no contracts. None for all others."""
    if VERSION.encode() in delivery.parts[::2] or not delivery.types_of or delivery.entry.layout != "foreign":
        return None
    event, *others = delivery.entry
    try:
        return (exact_json.dumps(event), *others)
    except orjson.JSONEncodeError:  # nested more deeply than can be written
        return None


def pack_fact(kind: str, **members: Any) -> bytes:
    """Return a fact as bytes.

    `ready`; `broken` (with `text`): the handler cannot be used; `raised` (with `place` and `text`, and where it says so
    `permanent`, `retry_after` and `disables`): it raised at the event in that place of the batch; `end`: the batch is
    over.
    """
    return orjson.dumps({"kind": kind, **members})


def unpack_fact(data: bytes) -> dict[str, Any]:
    """Return a fact: its `kind`, and its members."""
    fact = orjson.loads(data)
    return fact if isinstance(fact, dict) else {}


def error_of(fact: dict[str, Any]) -> SinkError:
    """Return the error that a handler raised, from the fact that reports it."""
    text = str(fact.get("text", "The handler raised an error."))
    if fact.get("disables") is True:
        return SinkDisabled(text)
    after = fact.get("retry_after")
    return SinkError(
        text,
        permanent=fact.get("permanent") is True,
        retry_after=after if isinstance(after, int | float) else None,
        failure="exception",
    )


def text_of(error: BaseException, *, where: str = "") -> str:
    """Return an error in a line: its class, its message, and where it was raised."""
    message = " ".join(str(error).encode("utf-8", "replace").decode().split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return cut(text, _MOST_TEXT) + (f" ({where})" if where else "")


def _plain(types_of: Mapping[str, TopLevelTypes]) -> dict[str, dict[str, frozenset[str]]]:
    return {event_type: dict(types) for event_type, types in types_of.items()}
