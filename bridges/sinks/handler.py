"""A sink that calls a user's function for each event, or for batches of events, in child processes
(`bridges.handlers`).
"""

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
    """`handler`: the dotted path of a function that SYNAPSE_HANDLERS allows.

    The function is called with an event and its delivery; with `batch`, with a list of events and a list of their
    deliveries.
    """

    handler: Annotated[str, Setting("The function, such as shop.events.on_order; SYNAPSE_HANDLERS allows it.")]
    batch: Annotated[bool, Setting("Call it with many events at once.")] = False

    def find_errors(self) -> Iterator[tuple[str, str]]:
        if complaint := handlers.refusal_of(self.handler, settings.BRIDGE_HANDLERS):
            yield "handler", complaint


class HandlerSink(Sink):
    """Counts an event as delivered when the handler returns, but not when it raises, hangs, or ends its process.

    With several processes, each takes further shares of a batch as it finishes them.
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
        aways = [away for away in self._on_each(lambda slot: slot.handle_shares(shares, may_begin)) if away]
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
    """A batch that several processes share. Shares are large at first and single events at last, so that all processes
    finish at about the same time.
    """

    def __init__(self, batch: Sequence[Delivery], workers: int) -> None:
        self._batch = batch
        self._workers = workers
        self._begun = 0
        self._lock = Lock()
        self.outcomes: list[Outcome] = [NotBegun() for _ in batch]

    def next_share(self) -> tuple[int, Sequence[Delivery]] | None:
        """Return the index and the events of the next share, None when none is left."""
        with self._lock:
            left = len(self._batch) - self._begun
            if not left:
                return None
            begin, self._begun = self._begun, self._begun + max(1, left // (2 * self._workers))
            return begin, self._batch[begin : self._begun]


class _HandlerSlot:
    """One child process, to which it delivers batches."""

    def __init__(self, process: HandlerProcess) -> None:
        self.process = process

    def handle_shares(self, shares: _Shares, may_begin: MayBegin) -> SinkAway | None:
        """Deliver shares until none is left. Return the error if the process cannot take more."""
        while may_begin() and (share := shares.next_share()):
            place, batch = share
            try:
                shares.outcomes[place : place + len(batch)] = self.deliver(batch, may_begin)
            except SinkAway as away:
                return away
        return None

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Deliver events and return their outcomes, as `Sink.deliver`."""
        outcomes: list[Outcome] = []
        # If a child ends, the next one handles the rest of the batch.
        while len(outcomes) < len(batch) and may_begin():
            try:
                part = self._run_process(batch[len(outcomes) :], may_begin)
            except SinkAway:
                if not outcomes:
                    raise
                break
            outcomes += part
        return outcomes + [NotBegun() for _ in batch[len(outcomes) :]]

    def _run_process(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Run the child on the batch, and return the outcomes of as many of its first events as it began."""
        if not self.process.is_running():
            try:
                self.process.start()
            except SinkBroken as problem:
                raise SinkAway(problem.detail.rstrip(".")) from problem
        part = self.process.run_batch(batch, may_begin) if self.process.is_running() else []
        if not part:
            raise SinkAway("The handler's process ended before it began anything")
        return part
