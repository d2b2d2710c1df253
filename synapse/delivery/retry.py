"""The decision whether and when a failed event is retried, and the parsing of retry schedules.

The caller passes the random number.
"""

import re
from dataclasses import dataclass
from typing import Self

from synapse.catalog.bridge_definitions import BACKOFF_BASE_SECONDS, BACKOFF_CAP_SECONDS, MAX_ATTEMPTS, BridgeDefinition
from synapse.catalog.file import kind_of
from synapse.errors.delivery import SinkError
from synapse.formats.exact_json import is_number
from synapse.runtime.backoff import Backoff

MOST_WAITS = 100
LONGEST = 604_800.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TEXT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([smhd])")


class BadWait(ValueError):
    """A value is not a list of waits; the message explains it to a person."""


def read_schedule(values: object) -> tuple[float, ...]:
    """Return the waits of a list in seconds: numbers of seconds, or texts such as `30s`, `5m`, `2h` and `1d`.

    Raises:
        BadWait: when it holds anything else, or a wait of more than a week.
    """
    if not isinstance(values, list | tuple):
        raise BadWait("A list of waits, such as [5, “5m”, “2h”]; an empty one means that they double.")
    if len(values) > MOST_WAITS:
        raise BadWait(f"At most {MOST_WAITS} waits.")
    return tuple(map(_parse_wait, values))


def _parse_wait(value: object) -> float:
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if found:
        seconds = float(found[1]) * _UNITS[found[2]]
    elif is_number(value):
        seconds = float(value)
    else:
        raise BadWait(
            f"A wait is a number of seconds, or a text such as 30s, 5m, 2h or 1d, but one is {kind_of(value)}."
        )
    if not 0 <= seconds <= LONGEST:
        raise BadWait("A wait is from 0 seconds to 7 days long.")
    return seconds


# The longest wait that a receiver can ask for, in seconds.
LONGEST_WAIT = 86_400.0
# Waits of a schedule are lengthened by up to this share, so that events that failed together are spread.
_SPREAD = 0.1
_BACKOFF = Backoff(base=BACKOFF_BASE_SECONDS.default, cap=BACKOFF_CAP_SECONDS.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The number of attempts for an event, and the waits between them.

    `most_attempts` 0: no limit. `schedule` has the waits after the first failure, the second and so on, in seconds; the
    last one repeats. Without a schedule, `backoff` gives the waits.
    """

    most_attempts: int = MAX_ATTEMPTS.default
    backoff: Backoff = _BACKOFF
    schedule: tuple[float, ...] = ()

    @classmethod
    def from_definition(cls, bridge: BridgeDefinition) -> Self:
        """Return the policy of a bridge's definition."""
        backoff = Backoff(base=bridge.backoff_base_seconds, cap=bridge.backoff_cap_seconds)
        return cls(most_attempts=bridge.max_attempts, backoff=backoff, schedule=bridge.retry_schedule)

    def wait_after(self, attempt: int, chance: float) -> float:
        """Return the seconds to wait after attempt number `attempt` failed; `chance` as for `Backoff.delay`."""
        if not self.schedule:
            return self.backoff.delay(attempt, chance)
        nominal = self.schedule[min(attempt, len(self.schedule)) - 1]
        return nominal * (1 + _SPREAD * chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The decision to retry the event, `after` seconds from now."""

    after: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The decision not to retry the event."""


def decide_retry(policy: Policy, *, attempt: int, error: SinkError, chance: float) -> Retry | GiveUp:
    """Decide whether an event is retried or given up after its attempt with this number (from 1) failed.

    The wait is at least the receiver's `retry_after`. Attempts that ended without a report, as in a crash, are counted
    by the script `lease.lua`, when the event is leased again.
    """
    if error.permanent or 0 < policy.most_attempts <= attempt:
        return GiveUp()
    asked = min(error.retry_after or 0.0, LONGEST_WAIT)
    return Retry(after=max(policy.wait_after(attempt, chance), asked))
