"""A sink that prints events: in a readable form on a terminal, and as JSON lines into a pipe."""

import errno
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from bridges.snapshot import mask_of
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.sink import Delivery, MayBegin, Outcome, Sink, SinkConfig
from synapse.delivery.text_line import json_line, terminal_line
from synapse.errors.delivery import NotBegun, SinkBroken, SinkGone
from synapse.wire.masking import Mask

# The bytes that a ready pipe, and usually a terminal, takes without blocking (POSIX: PIPE_BUF).
_CHUNK = select.PIPE_BUF
_LOOK_EVERY = 0.2
# The seconds for which a stuck reader may delay the stopping of a process.
PATIENCE = 1.0


class NonblockingWriter:
    """Writes bytes to a file descriptor, and counts the bytes that were written.

    `stopping` returns whether the process was asked to stop; then a stuck reader is waited for only `PATIENCE` seconds.
    """

    def __init__(self, descriptor: int, *, stopping: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._stopping = stopping
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write data, and return the number of written bytes: fewer than all when the reader closed the output, or was
        stuck while the process was asked to stop.
        """
        taken = 0
        while taken < len(data) and self._is_ready():
            try:
                taken += os.write(self._descriptor, data[taken : taken + _CHUNK])
            except OSError as error:
                self.failure = error
        return taken

    def is_closed(self) -> bool:
        """Say whether the reader has closed the output."""
        if self.failure is not None:
            return True
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return any(seen & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, seen in poll.poll(0))

    def why_closed(self) -> str:
        """Return the error that closed the output, "" when the reader closed it, as `head` does."""
        if self.failure is None or self.failure.errno == errno.EPIPE:
            return ""
        return self.failure.strerror or str(self.failure)

    def _is_ready(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while self.failure is None:
            if select.select([], [self._descriptor], [], _LOOK_EVERY)[1]:
                return True
            if not self._stopping():
                deadline = time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                return False
        return False


# Bridges of one process print to the same file, and lines must not be mixed.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConfig(SinkConfig):
    """The settings of the console sink, which has none."""


class ConsoleSink(Sink):
    """Writes each event as one line to a file descriptor; an event is delivered when its whole line is written.

    With `colour` None, it prints in colour on a terminal, unless NO_COLOR (no-color.org) or TERM=dumb is set. `mask_of`
    returns the mask of an event's PII, because the output of bridges ends up in logs.
    """

    label = "Console"
    about = "Prints each event as a line, where the bridges run."
    Config = ConsoleConfig

    def __init__(
        self,
        descriptor: int,
        *,
        stopping: Callable[[], bool] = lambda: False,
        colour: bool | None = None,
        mask_of: Callable[[Delivery], Mask | None] = lambda _: None,
    ) -> None:
        self._mask_of = mask_of
        self._outlet = NonblockingWriter(descriptor, stopping=stopping)
        self._terminal = os.isatty(descriptor)
        is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._colour = self._terminal and not is_plain if colour is None else colour

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        if sys.stdout is None:
            raise SinkBroken("Standard output is closed: there is nowhere to print to.")
        return cls(sys.stdout.fileno(), stopping=stopping, mask_of=mask_of)

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        if not may_begin():
            return [NotBegun() for _ in batch]
        lines = [self._encode_line(delivery) for delivery in batch]
        with _one_at_a_time:
            left = self._outlet.write(b"".join(lines))
        outcomes: list[Outcome] = []
        for line in lines:
            left -= len(line)
            outcomes.append(None if left >= 0 else SinkGone(self._outlet.why_closed()))
        return outcomes

    def is_gone(self) -> bool:
        return self._outlet.is_closed()

    def _encode_line(self, delivery: Delivery) -> bytes:
        mask = self._mask_of(delivery)
        if self._terminal:
            return terminal_line(delivery, now=datetime.now(UTC), colour=self._colour, mask=mask)
        return json_line(delivery, mask=mask)
