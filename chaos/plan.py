"""The plan of a chaos run, and the failures that its seed assigns to each event.

Failures are a function of the seed and the event, so that all workers and the verdict agree.
"""

import json
import sys
import zlib
from dataclasses import asdict, dataclass
from typing import Literal, Self

from synapse.catalog.bridge_definitions import BridgeDefinition, DeliveryLog, Order

STREAM = GROUP = "chaos"
# The property of events that is the key of the order `key`.
KEY = "key"
# The number of keys of each publisher.
KEYS = 50
# The delays between attempts in seconds. They are short, so that a run has many attempts.
WAITS = (0.05, 0.1, 0.2, 0.4)
# The start method of processes. A fork takes a hundredth of a second, but is safe on Linux only: libraries of macOS may
# crash in a forked process.
Start = Literal["fork", "spawn"]
USUAL_START: Start = "fork" if sys.platform == "linux" else "spawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The load and the faults of a run: `seconds` of publishing at `rate` events a second (all publishers together).
    `events` ends publishing after that number of events; 0 means no limit.

    `failures`: the share of first and second attempts that fail. `poison`: the share of events that always fail.
    `kill_worker`, `kill_server`, `stop_worker`, `freeze_worker`: the mean interval in seconds at which one is killed
    (SIGKILL), stopped (SIGTERM), or frozen (SIGSTOP) past its lease; 0: never. `order`, `attempts`, `lease` (seconds)
    and `delivery_log`: settings of the bridge. `server`: the path of another engine's server, "" for the embedded one.
    `work`: the seconds that a handler takes. `patience`: the seconds without progress at the end after which the run
    counts as stuck. `start`: the start method of processes.
    """

    seconds: float = 60
    seed: int = 1
    events: int = 0
    rate: int = 1000
    publishers: int = 2
    workers: int = 4
    failures: float = 0.15
    poison: float = 0.005
    kill_worker: float = 0.5
    kill_server: float = 3
    stop_worker: float = 0
    freeze_worker: float = 0
    order: Order = "none"
    server: str = ""
    attempts: int = 8
    lease: float = 5
    work: float = 0.0005
    patience: float = 60
    start: Start = USUAL_START
    delivery_log: DeliveryLog = "failures"

    @property
    def has_faults(self) -> bool:
        """Say whether any process is killed or frozen. Only then may an event be delivered twice."""
        return bool(self.kill_worker or self.kill_server or self.freeze_worker)

    @property
    def bridge(self) -> BridgeDefinition:
        """Return the definition of the bridge that the workers run."""
        return BridgeDefinition(
            name=GROUP,
            stream=STREAM,
            group=GROUP,
            sink="chaos",
            order=self.order,
            order_key=KEY if self.order == "key" else "",
            lease_seconds=self.lease,
            handler_timeout_seconds=self.lease / 2,
            max_attempts=self.attempts,
            retry_schedule=WAITS,
            delivery_log=self.delivery_log,
        )

    def to_text(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse the text of `to_text`."""
        return cls(**json.loads(text))


# An event that is not poison fails at most this often, so that it never becomes a dead letter.
MOST_FAILURES = 2
# The suffix of the names of events that never fail.
SOUND = "s"


def is_poison(seed: int, name: str, share: float) -> bool:
    """Say whether every attempt at this event fails."""
    return not name.endswith(SOUND) and _chance(f"{seed} {name} poison") < share


def fails(seed: int, name: str, attempt: int, share: float) -> bool:
    """Say whether this attempt at an event that is not poison fails."""
    return attempt <= MOST_FAILURES and not name.endswith(SOUND) and _chance(f"{seed} {name} {attempt}") < share


def _chance(text: str) -> float:
    return zlib.crc32(text.encode()) / 2**32
