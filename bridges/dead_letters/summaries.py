"""Dead letters grouped by the pattern of their errors, and exports as lines of JSON in parts that fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridges.dead_letters.permissions import select_for_reader
from bridges.dead_letters.queries import MOST_LOOKED_AT, iterate
from synapse.auth.principal import SYSTEM, Principal
from synapse.dead_letters import DeadLetter, DeadLetterCriteria, ErrorGroup, Errors, error_pattern, full_json
from synapse.inspection.range_query import Order
from synapse.wire.ids import time_of
from synapse.wire.masking import row_json


def letter_json(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter with its event and attempts as a JSON value."""
    return row_json(full_json(letter))


def error_group(found: ErrorGroup) -> dict[str, Any]:
    """Return an error group, the dead letters that share a fingerprint, as a JSON value."""
    return {
        "fingerprint": found.fingerprint,
        "pattern": found.pattern,
        "count": found.count,
        "event_types": [name or None for name in found.event_types],
        "newest": found.newest,
        "example": found.example,
        "first_failed_at": time_of(found.first_ms),
        "last_failed_at": time_of(found.last_ms),
    }


MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A part of an export: lines of JSON with line ends, the ids of their dead letters, and the id after which the next
    part begins (None: there is none).
    """

    lines: bytes
    ids: Sequence[str]
    next: str | None


def export(
    stream: str,
    group: str,
    wanted: DeadLetterCriteria = DeadLetterCriteria(),  # noqa: B008 - frozen
    *,
    order: Order = "newest",
    past: str = "",
    by: Principal = SYSTEM,
) -> Export:
    """Export the matching dead letters, masked for `by`, in a part of at most about 32 MiB, from at most ten thousand
    letters.

    Raises:
        NoSuchDeadLetter: when `past` is not an id.
        WrongType, RedisUnavailable: when Redis cannot be used for this.
    """
    lines = bytearray()
    ids: list[str] = []
    following = None
    for looked_at, letter in enumerate(iterate(stream, group, order=order, past=past)):
        if looked_at == MOST_LOOKED_AT or len(lines) >= MOST_BYTES:
            return Export(lines=bytes(lines), ids=ids, next=following)
        following = letter.id
        if seen := select_for_reader(letter, wanted, by):
            lines += orjson.dumps(letter_json(seen), option=orjson.OPT_APPEND_NEWLINE)
            ids.append(letter.id)
    return Export(lines=bytes(lines), ids=ids, next=None)


def by_error(
    stream: str,
    group: str,
    wanted: DeadLetterCriteria = DeadLetterCriteria(),  # noqa: B008 - frozen
    *,
    by: Principal = SYSTEM,
    most: int = MOST_LOOKED_AT,
) -> Errors:
    """Group the matching dead letters by error, the most frequent first; only the newest `most` are counted.

    Raises:
        WrongType, RedisUnavailable: when Redis cannot be used for this.
    """
    found: dict[str, _ErrorTotals] = {}
    complete = True
    for looked_at, letter in enumerate(iterate(stream, group)):
        if looked_at == most:
            complete = False
            break
        if seen := select_for_reader(letter, wanted, by):
            if letter.fingerprint not in found:
                found[letter.fingerprint] = _ErrorTotals(letter.id, seen.error, _pattern_of(letter))
            found[letter.fingerprint].add(letter)
    groups = [counted.group(name) for name, counted in found.items()]
    return Errors(groups=tuple(sorted(groups, key=lambda one: (-one.count, -one.last_ms))), complete=complete)


def _pattern_of(letter: DeadLetter) -> str:
    return error_pattern(letter.mask.text(letter.error, letter.event) if letter.mask else letter.error)


@dataclass(slots=True)
class _ErrorTotals:
    """Running totals of the dead letters with one fingerprint. Their events, which may be large, are not kept."""

    newest: str
    example: str
    pattern: str
    count: int = 0
    event_types: set[str] = field(default_factory=set)
    first_ms: int = 0
    last_ms: int = 0

    def add(self, letter: DeadLetter) -> None:
        self.first_ms = min(self.first_ms, letter.first_ms) if self.count else letter.first_ms
        self.last_ms = max(self.last_ms, letter.last_ms)
        self.count += 1
        self.event_types.add(letter.event_type)

    def group(self, fingerprint: str) -> ErrorGroup:
        return ErrorGroup(
            fingerprint=fingerprint,
            pattern=self.pattern,
            newest=self.newest,
            example=self.example,
            count=self.count,
            event_types=tuple(sorted(self.event_types)),
            first_ms=self.first_ms,
            last_ms=self.last_ms,
        )
