"""The plan of a chaos run, and the fault that each event meets in it.

The seed decides, so that every worker and the verdict decide alike.
"""

import json
import sys
import zlib
from dataclasses import asdict, dataclass
from typing import Literal, Self

from synapse.catalog.bridge_definitions import BridgeDefinition, DeliveryLog, Order

STREAM = GROUP = "chaos"
# The event's own property that the order `key` goes by.
KEY = "key"
# How many keys each publisher has in use.
KEYS = 50
# The waits between attempts (seconds): short, so that a run has many of them.
WAITS = (0.05, 0.1, 0.2, 0.4)
# How processes are started. A fork works within a hundredth of a second, and is safe on Linux only: libraries of macOS
# may crash in a process that is the copy of another one.
Start = Literal["fork", "spawn"]
USUAL_START: Start = "fork" if sys.platform == "linux" else "spawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The load and the faults of a run: `seconds` of publishing at `rate` events a second (all publishers together).
    `events` ends the publishing earlier, after that many; 0 does not.

    `failures`: the part of first and second attempts that fail; `poison`: the part of the events that always do.
    `kill_worker`, `kill_server`, `stop_worker`, `freeze_worker`: after how many seconds, on average, one is killed
    (SIGKILL), stopped (SIGTERM), or frozen (SIGSTOP) past its lease; 0: never. `order` as in a bridge's definition.
    `server`: the path of another engine's server, "" for the embedded one. `attempts`, `lease` (seconds): the bridge's.
    `work`: how long a handler takes (seconds). `patience`: for how long, at the end, what is left may not get less
    before it is taken for stuck (seconds). `start`: how processes are started. `delivery_log`: the bridge's.
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
        """Say whether any process is killed or frozen: only then may an event be delivered twice."""
        return bool(self.kill_worker or self.kill_server or self.freeze_worker)

    @property
    def bridge(self) -> BridgeDefinition:
        """The bridge that the workers run."""
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

    def packed(self) -> str:
        """Return the plan as text."""
        return json.dumps(asdict(self))

    @classmethod
    def unpacked(cls, text: str) -> Self:
        """Return the plan that was packed."""
        return cls(**json.loads(text))


# A sound event fails this often at most: it must not die of bad luck.
MOST_FAILURES = 2
# How the names of events end that never fail.
SOUND = "s"


def is_poison(seed: int, name: str, share: float) -> bool:
    """Say whether every attempt at this event fails."""
    return not name.endswith(SOUND) and _chance(f"{seed} {name} poison") < share


def fails(seed: int, name: str, attempt: int, share: float) -> bool:
    """Say whether this attempt at a sound event fails."""
    return attempt <= MOST_FAILURES and not name.endswith(SOUND) and _chance(f"{seed} {name} {attempt}") < share


def _chance(text: str) -> float:
    return zlib.crc32(text.encode()) / 2**32
