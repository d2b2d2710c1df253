"""Permissions to see dead letters and to act on them, and the masking of dead letters.

For a caller without the right to see PII, it is masked in the event, in its fields and in the errors that quote it.
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


def seen_by(letter: DeadLetter, by: Principal) -> DeadLetter:
    """Return the dead letter as the caller may see it.

    Errors from before an edit may quote PII that the event does not hold any more: they are masked as a whole.
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


def selected_for(letter: DeadLetter, wanted: DeadLetterCriteria, by: Principal) -> DeadLetter | None:
    """Return a dead letter as the caller may see it, None when it does not meet the criteria. A filter is about that
    form too: it would tell of PII otherwise."""
    if not wanted.holds(letter):
        return None
    seen = seen_by(letter, by)
    return seen if wanted.filter is None or wanted.filter.matches(full_json(seen)) else None


def demand_editing(letter: DeadLetter, by: Principal) -> None:
    """Check that a caller may redrive a dead letter with an edited event.

    An edit that a contract judges together with values that its editor may not see would tell of them.

    Raises:
        Forbidden: when something in it is PII, and they may not see it.
    """
    if letter.mask is not None:
        demand_payload_access(by, f"edit dead letter {letter.id}")


def is_masked(event: Any, pointer: str) -> bool:
    """Say whether a masked event holds the mask at a JSON Pointer (RFC 6901) or above, where no rule can judge it."""
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
