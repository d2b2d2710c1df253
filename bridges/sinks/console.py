"""Prints events: for people on a terminal, as JSON lines for whatever reads a pipe."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from bridges.delivery import Delivery
from bridges.errors import SinkGone
from bridges.outlet import Outlet
from bridges.rendering import json_line, terminal_line
from bridges.sinks.base import Outcome, Sink


class ConsoleSink(Sink):
    """Writes each event as one line to a file descriptor; an event is taken when its whole line was.

    `colour` None means: on a terminal, unless NO_COLOR (no-color.org) or TERM=dumb says otherwise.
    """

    def __init__(
        self, descriptor: int, *, stopping: Callable[[], bool] = lambda: False, colour: bool | None = None
    ) -> None:
        self._outlet = Outlet(descriptor, stopping=stopping)
        self._terminal = os.isatty(descriptor)
        self._colour = self._wants_colour() if colour is None else colour

    def deliver(self, batch: Sequence[Delivery]) -> list[Outcome]:
        lines = [self._line(delivery) for delivery in batch]
        left = self._outlet.write(b"".join(lines))
        outcomes: list[Outcome] = []
        for line in lines:
            left -= len(line)
            outcomes.append(None if left >= 0 else SinkGone(self._outlet.why_closed()))
        return outcomes

    def is_gone(self) -> bool:
        return self._outlet.is_closed()

    def _line(self, delivery: Delivery) -> bytes:
        if self._terminal:
            return terminal_line(delivery, now=datetime.now(UTC), colour=self._colour)
        return json_line(delivery)

    def _wants_colour(self) -> bool:
        return self._terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
