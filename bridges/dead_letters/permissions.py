"""Permissions to see dead letters and to act on them, and the masking of dead letters.

For callers without the right to see PII, it is masked in the event, its fields, and the errors that quote it.
"""

from dataclasses import replace
from typing import Any

from streams.snapshot import holder
from synapse.auth.permission import Requirement, demand_payload_access
from synapse.auth.principal import PERSONAL, Principal
from synapse.dead_letters import DeadLetter, DeadLetterCriteria, full_json
from synapse.schema.pii import MASK, redacted
from synapse.wire.masking import may_hold_pii

READING = Requirement(read=True, read_all=True, scope="dead-letters:read")
ACTING = Requirement(read=True, read_all=True, scope="dead-letters:write")


def sees_all(by: Principal) -> bool:
    """Say whether the caller may see PII."""
    return by.rights.has(PERSONAL)


def mask_for_reader(letter: DeadLetter, by: Principal) -> DeadLetter:
    """Return the dead letter with PII masked, unless the caller may see it.

    Errors from before an edit are masked as a whole, because they may quote PII that the event no longer holds.
    """
    if sees_all(by):
        return letter
    if may_hold_pii(holder.current().display_definition(letter.stream)):
        attempts = tuple(replace(one, error=MASK) if one.is_before_edit else one for one in letter.attempts)
        letter = replace(letter, attempts=attempts)
    if letter.mask is None:
        return letter
    texts, read = letter.mask.texts(letter.event), letter.mask
    return replace(
        letter,
        event=read.event(letter.event),
        data=read.fields(letter.data, letter.event),
        timestamp=read.timestamp(letter.timestamp, letter.event),
        source=read.source(letter.source, letter.event),
        error=redacted(letter.error, texts),
        attempts=tuple(replace(one, error=redacted(one.error, texts)) for one in letter.attempts),
    )


def select_for_reader(letter: DeadLetter, wanted: DeadLetterCriteria, by: Principal) -> DeadLetter | None:
    """Return a dead letter masked for the caller, None when it does not meet the criteria. The filter sees only the
    masked form, because it would reveal PII otherwise.
    """
    if not wanted.holds(letter):
        return None
    seen = mask_for_reader(letter, by)
    return seen if wanted.filter is None or wanted.filter.matches(full_json(seen)) else None


def demand_editing(letter: DeadLetter, by: Principal) -> None:
    """Check that a caller may redrive a dead letter with an edited event.

    Otherwise the contract's verdict on an edit could reveal hidden values that are checked together with it.

    Raises:
        Forbidden: when it holds PII that the caller may not see.
    """
    if letter.mask is not None:
        demand_payload_access(by, f"edit dead letter {letter.id}")


def is_masked(event: Any, pointer: str) -> bool:
    """Say whether the value at a JSON Pointer (RFC 6901), or one that contains it, is masked, so that it cannot be
    checked.
    """
    value = event
    for step in pointer.split("/")[1:]:
        if value == MASK:
            break
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return False
    return bool(value == MASK)
