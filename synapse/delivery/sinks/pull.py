"""No sink in the strict sense: the events stay in the stream, and whoever wants them asks over HTTP (bridges.pull)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.event_delivery import Delivery
from synapse.delivery.sinks.base import MayBegin, Outcome, Sink
from synapse.delivery.sinks.config import SinkConfig
from synapse.errors.delivery import NotBegun, SinkBroken


@dataclass(frozen=True, slots=True, kw_only=True)
class PullConfig(SinkConfig):
    """Nothing: who reads says what it wants with each request."""


class PullSink(Sink):
    """Holds the place of those who ask. It is never opened, since nothing is brought anywhere."""

    Config = PullConfig

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        raise SinkBroken("Its events are asked for with POST /v1/read: there is nothing to run.")

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        return [NotBegun() for _ in batch]
