"""The settings of a bridge, in the order of files and forms, and its definition as a value, for the runtime."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from synapse.catalog import ownership
from synapse.catalog.fields import ADVANCED, Choice, Count, Flag, Rows, Text, declared_fields
from synapse.catalog.filters import Filter
from synapse.tracing.span import Relation

_EVENTS, _FAILURE = "Which events", "When it fails"

EVENT_TYPES = Rows("event_types", section=_EVENTS, help="Only these; an empty list means all.")
FILTERS = Rows("filters", section=_EVENTS, help="Only events that meet all of these; an empty list means all.")
OWNER, RUNBOOK, LABELS = ownership.OWNER, ownership.RUNBOOK, ownership.LABELS
ENABLED = Flag(
    "enabled", default=True, help="Whether the bridge runs. A disabled bridge keeps the position of its group."
)
PAUSED = Flag(
    "paused",
    section=ADVANCED,
    default=False,
    help="Whether delivery is paused: the consumers stay in the group, and read nothing.",
)
START = Text(
    "start", section=ADVANCED, default="beginning", help="Where a new group begins: beginning, new, an id, or a time."
)
ORDER = Choice(
    "order",
    section=ADVANCED,
    default="none",
    choices={
        "none": "none: as fast as it goes",
        "key": "key: events with the same key one after the other",
        "stream": "stream: all events one after the other",
    },
    help="Which events wait for the one before them.",
)
ORDER_KEY = Text("order_key", section=ADVANCED, help="The top-level property that is the key, with the order “key”.")
CONCURRENCY = Count(
    "concurrency",
    section=ADVANCED,
    default=1,
    most=64,
    help="How many events the sink may have in flight at once, in each process.",
)
RATE_LIMIT = Count(
    "rate_limit",
    section=ADVANCED,
    help="How many events a second each process delivers at most; empty means any number.",
)
BATCH_SIZE = Count(
    "batch_size", section=ADVANCED, default=500, most=1000, help="How many events are read at once, at most."
)
LEASE_SECONDS = Count(
    "lease_seconds",
    section=ADVANCED,
    default=60,
    least=2,
    most=3600,
    help="How long a consumer may have an event before another one gets it.",
)
HANDLER_TIMEOUT_SECONDS = Count(
    "handler_timeout_seconds",
    section=ADVANCED,
    default=15,
    most=3600,
    help="How long a handler may take; at most half the lease.",
)
# Ten attempts with waits of 5 s, 10 s, and so on: half an hour to repair a fault.
MAX_ATTEMPTS = Count(
    "max_attempts",
    section=_FAILURE,
    default=10,
    least=0,
    most=1000,
    help="How often an event is tried before it is a dead letter; 0: for ever.",
)
BACKOFF_BASE_SECONDS = Count(
    "backoff_base_seconds",
    section=ADVANCED,
    default=5,
    least=0,
    most=86_400,
    help="How long to wait after the first failure; each further wait is twice as long.",
)
BACKOFF_CAP_SECONDS = Count(
    "backoff_cap_seconds", section=ADVANCED, default=3600, least=0, most=604_800, help="How long to wait at most."
)
DELIVERY_LOG = Choice(
    name="delivery_log",
    section=ADVANCED,
    default="failures",
    choices={"off": "off", "failures": "failures: attempts that failed", "all": "all: every attempt"},
    help="Which attempts are kept for the timelines of events, with what people did to them.",
)
TRACING = Choice(
    name="tracing",
    section=ADVANCED,
    default="link",
    choices={
        "link": "link: each delivery is a trace of its own, linked to that of the publish",
        "parent": "parent: deliveries are part of the trace of the publish",
    },
    help="How the spans of deliveries belong to the trace of the publish, where tracing is on.",
)
RETRY_SCHEDULE = Rows(
    "retry_schedule",
    section=_FAILURE,
    help="Fixed waits between attempts, such as [5, “5m”, “2h”]; the last one repeats. Empty: the two settings above.",
)

BRIDGE_FIELDS = declared_fields(globals())


# The sink of a bridge without a worker, whose events are pulled over HTTP.
PULL = "pull"
# The lease of pulled events, if a read created the bridge.
PULL_LEASE_SECONDS = 300

Order = Literal["none", "key", "stream"]
DeliveryLog = Literal["off", "failures", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeDefinition:
    """A bridge: the events that it selects, and the sink that gets them.

    The settings are those declared above, under their names; `event_types` and `filters` are parsed, and
    `retry_schedule` is in seconds. `config` has the settings of the sink, which its class parses. `opened_by`: the
    service that owns a pulled group, "" for none. `pk` is the primary key of its row, None for a bridge without a row.
    """

    name: str
    stream: str
    group: str
    sink: str
    config: Mapping[str, Any] = field(default_factory=dict)
    event_types: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    # Not compared: changing these must not restart the delivery.
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
    delivery_log: DeliveryLog = "failures"
    tracing: Relation = "link"
    retry_schedule: tuple[float, ...] = ()
    opened_by: str = ""
    pk: int | None = None

    @property
    def is_pulled(self) -> bool:
        """Whether its events are pulled by clients, not delivered by a worker."""
        return self.sink == PULL
