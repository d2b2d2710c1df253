"""Dead letters as somebody may see them: without the right to see PII with the mask, in the event, in its fields and in
the errors that quote it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from bridges.dead_letters.values import DeadLetter
from contracts.personal import MASK, redacted
from core.permission import demand_personal
from core.principal import Principal
from core.problems import Problem
from core.rights import PERSONAL


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
        timestamp=read.timestamp(letter.timestamp, letter.event),
        source=read.source(letter.source, letter.event),
        error=redacted(letter.error, texts),
        attempts=tuple(replace(one, error=redacted(one.error, texts)) for one in letter.attempts),
    )


def demand_editing(letter: DeadLetter, by: Principal) -> None:
    """Make sure that somebody may send another event out in place of a dead letter.

    An edit that a contract judges together with values that its editor may not see would tell of them.

    Raises:
        Forbidden: when something in it is PII, and they may not see it.
    """
    if letter.mask is not None:
        demand_personal(by, f"edit dead letter {letter.id}")


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


def masked_place(event: Any, pointer: str) -> str | None:
    """Return the place at or above a JSON Pointer (RFC 6901) that holds the mask in a masked event, None for none."""
    value, place = event, ""
    for step in pointer.split("/")[1:]:
        if value == MASK:
            break
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
        place += f"/{step}"
    return place if value == MASK else None
