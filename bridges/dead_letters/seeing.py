"""Dead letters as somebody may see them: who may not see what is personal sees the mask, in the event, in its fields
and in the errors that quote it. Such a person can edit the rest: what stays masked is what it was."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from bridges.dead_letters.values import DeadLetter
from bridges.errors import BadEdit
from contracts.personal import MASK, redacted, says_mask
from core.principal import Principal
from core.problems import Problem
from core.rights import PERSONAL
from streams.masking import mask_of_type
from streams.snapshot import holder


def sees_all(by: Principal) -> bool:
    """Say whether somebody may see what is personal."""
    return by.rights.has(PERSONAL)


def seen_by(letter: DeadLetter, by: Principal) -> DeadLetter:
    """Return the dead letter as somebody may see it."""
    if letter.mask is None or sees_all(by):
        return letter
    texts, read = letter.mask.texts(letter.event), letter.mask
    return replace(
        letter,
        event=read.event(letter.event),
        data=read.fields(letter.data, letter.event),
        timestamp=None if letter.timestamp in texts else letter.timestamp,
        source=letter.source and redacted(letter.source, texts),
        error=redacted(letter.error, texts),
        attempts=tuple(replace(one, error=redacted(one.error, texts)) for one in letter.attempts),
    )


def filled(letter: DeadLetter, event: Any, by: Principal) -> Any:
    """Return an edited event with what its editor could not see: where a personal place still says the mask, the dead
    letter's own value.

    Raises:
        BadEdit: when the mask stands where nothing was masked, so that it would go out as a value.
    """
    if letter.mask is None or sees_all(by):
        return event
    if isinstance(event, dict) and event.get("event_type") == letter.event_type:
        event = letter.mask.restored(event, letter.event)
    if says_mask(event):
        raise BadEdit(f"“{MASK}” stands where nothing was masked: write a value, or take the property away.")
    return event


def quotable(stream: str, event: Any, letter: DeadLetter | None, by: Principal) -> Collection[str]:
    """Return the values that nothing said to somebody about the event may quote."""
    if sees_all(by):
        return ()
    texts: set[str] = set()
    if letter is not None and letter.mask is not None:
        texts |= letter.mask.texts(letter.event)
    event_type = event.get("event_type") if isinstance(event, dict) else None
    mask = mask_of_type(holder.current().shown(stream), event_type) if isinstance(event_type, str) else None
    return texts if mask is None else texts | mask.texts(event)


def without(problem: Problem, texts: Collection[str]) -> Problem:
    """Return the problem, with nothing in it that quotes one of the texts."""
    if texts:
        problem.detail = redacted(problem.detail, texts)
        if "violations" in problem.members:
            problem.members["violations"] = violations(problem.members["violations"], texts)
    return problem


def violations(found: Collection[Mapping[str, str]], texts: Collection[str]) -> list[Mapping[str, str]]:
    """Return violations whose sentences quote none of the texts."""
    return [{**each, "message": redacted(each["message"], texts)} if texts else each for each in found]
