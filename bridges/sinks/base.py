"""What every sink is: a place that takes events and says, for each, whether it did."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bridges.delivery import Delivery
from bridges.errors import SinkError

# None: the sink has taken the event, and the bridge settles it.
Outcome = SinkError | None


class Sink(ABC):
    """Takes events, many at once."""

    @abstractmethod
    def deliver(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """Take the events, in this order. Return the outcome of each.

        An exception means that none was taken, and that trying again may help.
        """

    def is_gone(self) -> bool:
        """Say whether the sink takes nothing any more: then nothing is read for it."""
        return False


class OneByOne(Sink):
    """A sink that takes one event at a time; what becomes of one is nothing to the others."""

    @abstractmethod
    def take(self, delivery: Delivery) -> None:
        """Take one event.

        Raises:
            SinkError: when it was not taken. Any other exception means the same, and that trying again may help.
        """

    def deliver(self, batch: Sequence[Delivery]) -> list[Outcome]:
        return [self._outcome(delivery) for delivery in batch]

    def _outcome(self, delivery: Delivery) -> Outcome:
        try:
            self.take(delivery)
        except SinkError as error:
            return error
        except Exception as error:
            return SinkError(f"{type(error).__name__}: {error}")
        return None
