"""Dead letters grouped by the pattern of their errors, and exported as lines of JSON in parts that fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridges.dead_letters.permissions import selected_for
from bridges.dead_letters.queries import MOST_LOOKED_AT, iterate
from synapse.auth.principal import SYSTEM, Principal
from synapse.dead_letters import DeadLetter, DeadLetterCriteria, ErrorGroup, Errors, error_pattern, full_json
from synapse.inspection.range_query import Order
from synapse.wire.ids import time_of
from synapse.wire.masking import row_json


def whole(letter: DeadLetter) -> dict[str, Any]:
    """Return all of one dead letter, as JSON."""
    return row_json(full_json(letter))


def error_group(found: ErrorGroup) -> dict[str, Any]:
    """Return the JSON of one error group: the dead letters that share a fingerprint."""
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
    """Lines of JSON, each with its end, of which dead letters, and past which id there may be more (None: that was
    all)."""

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
    """Export matching dead letters as `by` may see them: as many as fit into 32 MiB, of at most ten thousand.

    Raises:
        NoSuchDeadLetter: when `past` is no id.
        WrongType, RedisUnavailable: when Redis cannot be used for this.
    """
    lines = bytearray()
    ids: list[str] = []
    following = None
    for looked_at, letter in enumerate(iterate(stream, group, order=order, past=past)):
        if looked_at == MOST_LOOKED_AT or len(lines) >= MOST_BYTES:
            return Export(lines=bytes(lines), ids=ids, next=following)
        following = letter.id
        if seen := selected_for(letter, wanted, by):
            lines += orjson.dumps(whole(seen), option=orjson.OPT_APPEND_NEWLINE)
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
    found: dict[str, _Counted] = {}
    complete = True
    for looked_at, letter in enumerate(iterate(stream, group)):
        if looked_at == most:
            complete = False
            break
        if seen := selected_for(letter, wanted, by):
            if letter.fingerprint not in found:
                found[letter.fingerprint] = _Counted(letter.id, seen.error, _pattern(letter))
            found[letter.fingerprint].add(letter)
    groups = [counted.group(name) for name, counted in found.items()]
    return Errors(groups=tuple(sorted(groups, key=lambda one: (-one.count, -one.last_ms))), complete=complete)


def _pattern(letter: DeadLetter) -> str:
    return error_pattern(letter.mask.text(letter.error, letter.event) if letter.mask else letter.error)


@dataclass(slots=True)
class _Counted:
    """Running totals of one fingerprint, without the events: each of those may be large."""

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
