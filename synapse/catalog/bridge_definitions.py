"""A bridge's definition as a value, for the runtime."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from synapse.catalog.bridge_fields import (
    BACKOFF_BASE_SECONDS,
    BACKOFF_CAP_SECONDS,
    BATCH_SIZE,
    HANDLER_TIMEOUT_SECONDS,
    LEASE_SECONDS,
    MAX_ATTEMPTS,
)
from synapse.catalog.filters import Filter

# The sink of a bridge without a worker: its events are pulled over HTTP.
PULL = "pull"
# The lease of pulled events, where a first read made the bridge.
PULL_LEASE_SECONDS = 300

Order = Literal["none", "key", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeDefinition:
    """Which events go where.

    `event_types`: only these; empty means all. `filters`: what the properties of an event must be, all of it. `config`
    is what the sink's own class reads. `paused`: its consumers stay in the group, and read nothing. `start` is where
    the group begins that is not there yet: `beginning`, `new`, an id or a time. `order`: `key` delivers events that
    have the same value of the top-level property `order_key` one after the other, `stream` all of them.

    `concurrency`: how many events the sink may have in work at once, in each process. `batch`: how many events are read
    at once, at most. `rate`: how many events a second each process delivers at most, None for any number. `lease`
    (seconds): how long a consumer may have an event before another one gets it. `timeout` (seconds): how long a handler
    may take.

    `attempts`: how often an event is tried before it is a dead letter, 0 for ever. `backoff_base`, `backoff_cap`
    (seconds): the first wait, which doubles, and the longest; `schedule` (seconds): the waits, in their place.

    `opened_by`: the service to which a group that is pulled belongs, "" for none. `pk` is the row's, None for a bridge
    that no row defines.
    """

    name: str
    stream: str
    group: str
    sink: str
    config: Mapping[str, Any] = field(default_factory=dict)
    event_types: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    enabled: bool = True
    paused: bool = False
    start: str = "beginning"
    order: Order = "none"
    order_key: str = ""
    concurrency: int = 1
    rate: int | None = None
    batch: int = BATCH_SIZE.default
    lease: float = LEASE_SECONDS.default
    timeout: float = HANDLER_TIMEOUT_SECONDS.default
    attempts: int = MAX_ATTEMPTS.default
    backoff_base: float = BACKOFF_BASE_SECONDS.default
    backoff_cap: float = BACKOFF_CAP_SECONDS.default
    schedule: tuple[float, ...] = ()
    opened_by: str = ""
    pk: int | None = None

    @property
    def is_pulled(self) -> bool:
        """Whether its events are pulled by clients, not delivered by a worker."""
        return self.sink == PULL
