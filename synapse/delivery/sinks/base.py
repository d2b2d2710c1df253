"""What every sink is: a place that takes events and says, for each, whether it did."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.event_delivery import Delivery
from synapse.delivery.sinks.config import SinkConfig
from synapse.errors.delivery import NotBegun, SinkError

# None: the sink has taken the event, and the bridge settles it.
Outcome = SinkError | None
MayBegin = Callable[[], bool]


class Sink(ABC):
    """Takes events, many at once."""

    # What it can be told: a subclass of SinkConfig.
    Config: ClassVar[type[SinkConfig]] = SinkConfig
    # How many events it has in work at once, where its own settings say so; None: as many as its bridge says.
    at_once: int | None = None

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        """Return the sink of a bridge, ready to take events. `config` is a `cls.Config`.

        `stopping` says whether the process was asked to stop: then nothing is to be waited for. `bridge.concurrency`
        is how many events the sink may have in work at once; it gets at least so many where there are.

        Raises:
            BadConfig: when it cannot be set up like this after all.
            SinkBroken: when it cannot be opened.
        """
        raise NotImplementedError

    @abstractmethod
    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Take the events, in this order. Return the outcome of each.

        Once `may_begin` says no, nothing more is begun: the rest is NotBegun. Work on an event that was begun before
        is finished. An exception means that none was taken, and that trying again may help. SinkDisabled as an outcome
        disables the bridge.

        Raises:
            SinkAway: when the sink can take nothing now. None of the events was begun then.
        """

    def is_gone(self) -> bool:
        """Say whether the sink takes nothing any more: then nothing is read for it."""
        return False

    def close(self) -> None:
        """Let go of what the sink holds."""
        return


class OneByOne(Sink):
    """A sink that takes one event at a time; what becomes of one is nothing to the others."""

    @abstractmethod
    def take(self, delivery: Delivery) -> None:
        """Take one event.

        Raises:
            SinkError: when it was not taken. Any other exception means the same, and that trying again may help.
        """

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        return [self._outcome(delivery) if may_begin() else NotBegun() for delivery in batch]

    def _outcome(self, delivery: Delivery) -> Outcome:
        try:
            self.take(delivery)
        except SinkError as error:
            return error
        except Exception as error:
            return SinkError(f"{type(error).__name__}: {error}")
        return None
