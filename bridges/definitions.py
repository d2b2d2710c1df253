"""A bridge's definition as a value: what the runtime works from. No Django."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LEASE_SECONDS = 60
TIMEOUT_SECONDS = 15
BATCH = 500
LARGEST_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeDefinition:
    """Which events go where.

    `event_types`: only these; empty means all. `config` is what the sink's own class reads. `start` is where the group
    begins that is not there yet: `beginning` or `new`. `batch`: how many events are read at once, at most. `lease`
    (seconds): how long a consumer may have an event before another one gets it. `timeout` (seconds): how long a handler
    may take. `concurrency`: how many events a sink may have at once. `pk` is the row's, None for a bridge that no row
    defines.
    """

    name: str
    stream: str
    group: str
    sink: str
    config: Mapping[str, Any] = field(default_factory=dict)
    event_types: frozenset[str] = frozenset()
    enabled: bool = True
    start: str = "beginning"
    batch: int = BATCH
    lease: float = LEASE_SECONDS
    timeout: float = TIMEOUT_SECONDS
    concurrency: int = 1
    pk: int | None = None
