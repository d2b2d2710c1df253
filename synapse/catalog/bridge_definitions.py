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

    The settings are those of `bridge_fields`, under their names; `event_types` and `filters` are read, and
    `retry_schedule` is in seconds. `config` is what the sink's own class reads. `opened_by`: the service to which a
    group that is pulled belongs, "" for none. `pk` is the row's, None for a bridge that no row defines.
    """

    name: str
    stream: str
    group: str
    sink: str
    config: Mapping[str, Any] = field(default_factory=dict)
    event_types: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    # A change of these interrupts no delivery: definitions that differ in nothing else are equal.
    owner: str = field(default="", compare=False)
    runbook: str = field(default="", compare=False)
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    enabled: bool = True
    paused: bool = False
    start: str = "beginning"
    order: Order = "none"
    order_key: str = ""
    concurrency: int = 1
    rate_limit: int | None = None
    batch_size: int = BATCH_SIZE.default
    lease_seconds: float = LEASE_SECONDS.default
    handler_timeout_seconds: float = HANDLER_TIMEOUT_SECONDS.default
    max_attempts: int = MAX_ATTEMPTS.default
    backoff_base_seconds: float = BACKOFF_BASE_SECONDS.default
    backoff_cap_seconds: float = BACKOFF_CAP_SECONDS.default
    retry_schedule: tuple[float, ...] = ()
    opened_by: str = ""
    pk: int | None = None

    @property
    def is_pulled(self) -> bool:
        """Whether its events are pulled by clients, not delivered by a worker."""
        return self.sink == PULL
