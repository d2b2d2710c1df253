"""Calls a function of the user's for each event, or for many at once, in a process of its own (bridges.handlers)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings

from bridges.definitions import BridgeDefinition
from bridges.delivery import Delivery
from bridges.errors import NotBegun, SinkAway, SinkBroken
from bridges.handlers import allowed
from bridges.handlers.messages import Order
from bridges.handlers.process import HandlerProcess
from bridges.sinks.base import MayBegin, Outcome, Sink
from bridges.sinks.config import SinkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerConfig(SinkConfig):
    """`handler`: a function's dotted path, one of those that SYNAPSE_HANDLERS allows.

    It is called with an event and its delivery; with `batch`, with a list of events and a list of their deliveries.
    """

    handler: str
    batch: bool = False

    def mistakes(self) -> Iterator[tuple[str, str]]:
        if complaint := allowed.complaint(self.handler, settings.BRIDGE_HANDLERS):
            yield "handler", complaint


class HandlerSink(Sink):
    """An event is taken when the handler returned. One that raised, hung or ended its process has not taken it."""

    Config = HandlerConfig

    def __init__(self, order: Order, *, stopping: Callable[[], bool]) -> None:
        self._process = HandlerProcess(order, stopping=stopping)

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        order = Order(
            handler=config.handler,
            allowed=settings.BRIDGE_HANDLERS,
            batch=config.batch,
            size=bridge.batch,
            timeout=bridge.timeout,
        )
        sink = cls(order, stopping=stopping)
        sink._process.start()
        return sink

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        outcomes: list[Outcome] = []
        # A child that ended leaves the rest of the batch to the next one.
        while len(outcomes) < len(batch) and may_begin():
            try:
                part = self._run(batch[len(outcomes) :], may_begin)
            except SinkAway:
                if not outcomes:
                    raise
                break
            outcomes += part
        return outcomes + [NotBegun() for _ in batch[len(outcomes) :]]

    def close(self) -> None:
        self._process.close()

    def _run(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Return what became of the first part of the batch.

        Raises:
            SinkAway: when there is no child, or none that would begin anything.
        """
        if not self._process.is_running():
            try:
                self._process.start()
            except SinkBroken as problem:
                raise SinkAway(problem.detail.rstrip(".")) from problem
        part = self._process.run(batch, may_begin) if self._process.is_running() else []
        if not part:
            raise SinkAway("The handler's process ended before it began anything")
        return part
