"""How far the rights of a key reach, as grants, and whether those of another reach further. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from synapse.auth.scopes import ACTIONS, Granted, Pattern


def surely(grants: Sequence[Granted], scopes: Iterable[str]) -> list[Granted]:
    """Return what a key with these scopes has of its service's grants, and never more.

    Where a grant and a scope are patterns that meet, and neither holds the other, what both have is left out.
    """
    return _narrowed(grants, scopes, in_doubt=False)


def at_most(grants: Sequence[Granted], scopes: Iterable[str]) -> list[Granted]:
    """Return the same, and never less: where it is in doubt, the grant stays whole."""
    return _narrowed(grants, scopes, in_doubt=True)


def outside(mine: Sequence[Granted], others: Iterable[Granted]) -> Granted | None:
    """Return one of the others that is not wholly within one of mine; None when all are.

    One that only several of mine together would hold counts as outside.
    """
    return next((each for each in others if not any(_holds(one, each) for one in mine)), None)


def _narrowed(grants: Sequence[Granted], scopes: Iterable[str], *, in_doubt: bool) -> list[Granted]:
    parts = [(action, pattern) for action, _, pattern in (scope.partition(":") for scope in scopes)]
    patterns = [(action, pattern) for action, pattern in parts if action in ACTIONS]
    if not patterns:
        return list(grants)
    met = (
        (grant, _met(grant.stream, pattern, in_doubt=in_doubt))
        for grant in grants
        for action, pattern in patterns
        if action == grant.action
    )
    return [replace(grant, stream=stream) for grant, stream in met if stream]


def _met(stream: str, pattern: str, *, in_doubt: bool) -> str:
    """Return the pattern of what two patterns both stand for, "" for nothing."""
    if _is_within(pattern, stream):
        return pattern
    if _is_within(stream, pattern) or (in_doubt and "*" in stream and "*" in pattern):
        return stream
    return ""


def _holds(wide: Granted, narrow: Granted) -> bool:
    return (
        wide.action == narrow.action
        and _is_within(narrow.stream, wide.stream)
        and _is_within(narrow.event_type, wide.event_type)
    )


def _is_within(narrow: str, wide: str) -> bool:
    # In the narrow one a `*` is a character like others: only a `*` of the wide one stands for it.
    return Pattern(wide).matches(narrow)
