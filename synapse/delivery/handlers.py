"""Handler functions: the check that one is permitted, how it is called, and the protocol between a process and its
handlers' child processes.

The setting SYNAPSE_HANDLERS lists the permitted functions. A handler takes deliveries, and returns when it is done.

The parent sends the handler's name and batches through a pipe, in Python's own serialisation (both ends run the same
Python). The child sends results as JSON, which the parent can read safely even if a handler wrote to the pipe. The
child records each event's outcome in shared memory that outlives it, also after kill -9. So the parent knows at next to
no cost which events were handled, and which one was in flight.
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

from synapse.catalog.file import quote
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
        return f"must be the dotted path of a function, such as shop.handlers.on_order, but is {quote(path)}"
    module, _, function = path.rpartition(".")
    if path in listed or (f"{module}.*" in listed and not function.startswith("_")):
        return ""
    return f"{quote(path)} is not on the list of SYNAPSE_HANDLERS, which allows {', '.join(listed) or 'nothing'}"


def must_be_defined_in_module(path: str, listed: Sequence[str]) -> bool:
    """Say whether the function must be defined in its module itself, because only a `*` permits it: `*` must not permit
    functions that the module merely imports.
    """
    return path not in listed


Handle = Callable[[Sequence[Delivery]], None]


class BadHandler(Exception):
    """The handler cannot be used; the message gives the reason."""


def load_handler(path: str, listed: Sequence[str]) -> Callable[..., Any]:
    """Return the function of a dotted path; `listed` are the permitted paths.

    Raises:
        BadHandler: when the path is not permitted, or is not that of a function.
        Exception: when importing its module fails.
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
    """Wrap a function as a handler of single deliveries: it is called as `function(event, delivery)`, its result is
    ignored.
    """
    wait_for = _Loop()

    def handle(deliveries: Sequence[Delivery]) -> None:
        (delivery,) = deliveries
        answer = function(delivery.event, delivery)
        # The result of an asynchronous function still has to be awaited; a plain one may return an awaitable, too.
        if answer is not None and inspect.isawaitable(answer):
            wait_for(answer)

    return handle


def call_with_batch(function: Callable[..., Any]) -> Handle:
    """Wrap a function as a handler of batches: it is called as `function(events, deliveries)`, its result is
    ignored.
    """
    wait_for = _Loop()

    def handle(deliveries: Sequence[Delivery]) -> None:
        answer = function([delivery.event for delivery in deliveries], list(deliveries))
        if answer is not None and inspect.isawaitable(answer):
            wait_for(answer)

    return handle


class _Loop:
    """An event loop that lives as long as the child, so that clients and pools that a handler keeps in it stay
    usable.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, awaitable: Any) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(_await(awaitable))


async def _await(awaitable: Any) -> None:
    await awaitable


# The outcome of an event so far, as one byte. Memory that was never written is 0.
UNTOUCHED, BEGUN, TAKEN, RAISED = range(4)
# The first byte is set by the parent to stop the child; the outcomes follow.
_STOP = 0
_NOTES = 1


class SharedProgress:
    """The outcomes of up to `size` events, in memory shared by parent and child. Each maps the same file with its own
    object.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._memory = mmap.mmap(descriptor, _NOTES + size)
        self._outcomes = memoryview(self._memory)[_NOTES:]

    def reset(self, count: int) -> None:
        """Reset the outcomes of a new batch of `count` events."""
        self._memory[_STOP] = 0
        self._outcomes[:count] = bytes(count)

    def request_stop(self) -> None:
        """Ask the child to begin no further event."""
        self._memory[_STOP] = 1

    @property
    def stopped(self) -> bool:
        """Whether the parent asked the child to begin no further event."""
        return self._memory[_STOP] == 1

    def set_outcome(self, place: int, what: int) -> None:
        """Record the outcome of an event."""
        self._outcomes[place] = what

    def outcomes(self, count: int) -> bytes:
        """Return the recorded outcomes of the first `count` events."""
        return bytes(self._outcomes[:count])

    def close(self) -> None:
        """Release the memory."""
        self._outcomes.release()
        self._memory.close()


def make_progress_file(size: int) -> int:
    """Return the descriptor of a new file for a `SharedProgress` of `size` events; the caller closes it."""
    with tempfile.TemporaryFile(prefix="synapse-handler-") as file:
        file.truncate(_NOTES + size)
        return os.dup(file.fileno())


_MOST_TEXT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerOptions:
    """The options of a child: the handler's dotted path, the permitted paths, whether the handler takes batches, the
    largest batch, and the time limit of a call in seconds.
    """

    handler: str
    allowed: Sequence[str]
    batch: bool
    size: int
    timeout: float


def pack_batch(batch: Sequence[Delivery]) -> bytes:
    """Return a batch as bytes. All deliveries must have the same stream and the same `types_of`."""
    first = batch[0]
    rows = [
        (delivery.id, delivery.attempt, delivery.parts, _decode_foreign(delivery), _span_context(delivery))
        for delivery in batch
    ]
    return marshal.dumps((first.stream, _plain_types(first.types_of), rows))


def unpack_batch(data: bytes) -> list[Delivery]:
    """Return the batch that `pack_batch` made bytes of."""
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


def _span_context(delivery: Delivery) -> tuple[Any, ...] | None:
    """Return the trace context of a traced attempt, None otherwise: the child reads the entry's context itself."""
    return None if delivery.span is None else tuple(delivery.span.context)


def _decode_foreign(delivery: Delivery) -> tuple[Any, ...] | None:
    """Decode a foreign entry with the types of its contract, which the child does not have. Return None for other
    entries.
    """
    if VERSION.encode() in delivery.parts[::2] or not delivery.types_of or delivery.entry.layout != "foreign":
        return None
    event, *others = delivery.entry
    try:
        return (exact_json.dumps(event), *others)
    except orjson.JSONEncodeError:  # nested more deeply than can be written
        return None


def pack_fact(kind: str, **members: Any) -> bytes:
    """Return a message of the child as bytes.

    Kinds: `ready`; `broken` (with `text`): the handler cannot be used; `raised` (with `place`, `text`, and if the error
        has them `permanent`, `retry_after` and `disables`): it raised an error at the event with that index in the
        batch; `end`: the batch is finished.
    """
    return orjson.dumps({"kind": kind, **members})


def unpack_fact(data: bytes) -> dict[str, Any]:
    """Return a message of the child with its `kind` and members; an empty one for other JSON."""
    fact = orjson.loads(data)
    return fact if isinstance(fact, dict) else {}


def error_of(fact: dict[str, Any]) -> SinkError:
    """Return the error that a handler raised, from the message that reports it."""
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
    """Return an error as one line: its class, its message, and where it was raised."""
    message = " ".join(str(error).encode("utf-8", "replace").decode().split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return cut(text, _MOST_TEXT) + (f" ({where})" if where else "")


def _plain_types(types_of: Mapping[str, TopLevelTypes]) -> dict[str, dict[str, frozenset[str]]]:
    return {event_type: dict(types) for event_type, types in types_of.items()}
