"""Calls a function of the user's for each event, or for many at once, in a process of its own (bridges.handlers)."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any, Self, TypeVar

from django.conf import settings

from bridges.handlers.process import HandlerProcess
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery import handlers
from synapse.delivery.handlers import HandlerOptions
from synapse.delivery.sink import Delivery, MayBegin, Outcome, Setting, Sink, SinkConfig
from synapse.errors.delivery import NotBegun, SinkAway, SinkBroken

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerConfig(SinkConfig):
    """`handler`: a function's dotted path, one of those that SYNAPSE_HANDLERS allows.

    It is called with an event and its delivery; with `batch`, with a list of events and a list of their deliveries.
    """

    handler: Annotated[str, Setting("The function, such as shop.events.on_order; SYNAPSE_HANDLERS allows it.")]
    batch: Annotated[bool, Setting("Call it with many events at once.")] = False

    def find_errors(self) -> Iterator[tuple[str, str]]:
        if complaint := handlers.refusal_of(self.handler, settings.BRIDGE_HANDLERS):
            yield "handler", complaint


class HandlerSink(Sink):
    """An event is taken when the handler returned. One that raised, hung or ended its process has not taken it.

    With several processes, each takes of a batch what it gets done.
    """

    label = "Python function"
    about = "Calls a function of your own for each event, in a process beside."
    Config = HandlerConfig

    def __init__(self, order: HandlerOptions, *, processes: int = 1, stopping: Callable[[], bool]) -> None:
        self._slots = [_HandlerSlot(HandlerProcess(order, stopping=stopping)) for _ in range(processes)]
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="handler") if processes > 1 else None

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        order = HandlerOptions(
            handler=config.handler,
            allowed=settings.BRIDGE_HANDLERS,
            batch=config.batch,
            size=bridge.batch_size,
            timeout=bridge.handler_timeout_seconds,
        )
        sink = cls(order, processes=bridge.concurrency, stopping=stopping)
        try:
            sink._on_each(lambda slot: slot.process.start())
        except SinkBroken:
            sink.close()
            raise
        return sink

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        if len(self._slots) == 1:
            return self._slots[0].deliver(batch, may_begin)
        shares = _Shares(batch, len(self._slots))
        aways = [away for away in self._on_each(lambda slot: slot.work(shares, may_begin)) if away]
        if aways and all(isinstance(outcome, NotBegun) for outcome in shares.outcomes):
            raise aways[0]
        return shares.outcomes

    def close(self) -> None:
        for slot in self._slots:
            slot.process.close()
        if self._threads is not None:
            self._threads.shutdown()

    def _on_each(self, do: Callable[["_HandlerSlot"], T]) -> list[T]:
        if self._threads is None:
            return [do(slot) for slot in self._slots]
        return list(self._threads.map(do, self._slots))


class _Shares:
    """A batch that several processes work off. Large shares first, single events last: then all end about together."""

    def __init__(self, batch: Sequence[Delivery], workers: int) -> None:
        self._batch = batch
        self._workers = workers
        self._begun = 0
        self._lock = Lock()
        self.outcomes: list[Outcome] = [NotBegun() for _ in batch]

    def next(self) -> tuple[int, Sequence[Delivery]] | None:
        """Return a share and its place in the batch, None when nothing is left."""
        with self._lock:
            left = len(self._batch) - self._begun
            if not left:
                return None
            begin, self._begun = self._begun, self._begun + max(1, left // (2 * self._workers))
            return begin, self._batch[begin : self._begun]


class _HandlerSlot:
    """One process, and the way of a batch through it."""

    def __init__(self, process: HandlerProcess) -> None:
        self.process = process

    def work(self, shares: _Shares, may_begin: MayBegin) -> SinkAway | None:
        """Work off shares until none is left. Return why it could not, when that was the case."""
        while may_begin() and (share := shares.next()):
            place, batch = share
            try:
                shares.outcomes[place : place + len(batch)] = self.deliver(batch, may_begin)
            except SinkAway as away:
                return away
        return None

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Have the events handled, as `Sink.deliver` says."""
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

    def _run(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Return the outcomes of the first events of the batch."""
        if not self.process.is_running():
            try:
                self.process.start()
            except SinkBroken as problem:
                raise SinkAway(problem.detail.rstrip(".")) from problem
        part = self.process.run(batch, may_begin) if self.process.is_running() else []
        if not part:
            raise SinkAway("The handler's process ended before it began anything")
        return part
