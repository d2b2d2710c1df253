"""A dead letter, and what is asked and answered about many, as values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synapse.redis.commands.dead_letters import Attempt, Replayed
from synapse.wire.masking import Mask

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def is_id(text: str) -> bool:
    """Say whether a text can be the id of a dead letter."""
    # Redis keeps both halves of an id in 64 bits.
    return bool(_ID.fullmatch(text)) and max(map(int, text.split("-"))) < 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that no attempt could deliver to a group, and why.

    `id` is the dead letter's own, `event_id` the event's. `event` is the canonical event, `data` the fields that will
    be delivered, as text. `contract_version` is what it was checked against when it was published, None for nothing.
    `error` is the last one, `fingerprint` names what it has in common with others; personal values are no part of it.
    `former_fingerprint` is its name from when HTTP statuses were left out, which people may have written down.
    `count` is how many attempts there were, `attempts` the last ten of them, oldest first. Times are milliseconds since
    1970: of the first and the last failure. `mask` says what is personal in it, None when nothing is.
    """

    id: str
    stream: str
    group: str
    event_id: str
    event: Mapping[str, Any]
    event_type: str
    timestamp: str | None
    source: str | None
    contract_version: int | None
    layout: str
    data: Mapping[str, str]
    error: str
    fingerprint: str
    former_fingerprint: str
    count: int
    attempts: tuple[Attempt, ...]
    first_ms: int
    last_ms: int
    mask: Mask | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters are meant: those that meet all that is said.

    `since_ms` and `until_ms` (milliseconds since 1970, both included) are about the last failure.
    """

    event_type: str = ""
    fingerprint: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, letter: DeadLetter) -> bool:
        """Say whether a dead letter is meant."""
        return (
            self.event_type in ("", letter.event_type)
            and self.fingerprint in ("", letter.fingerprint, letter.former_fingerprint)
            and (self.since_ms is None or self.since_ms <= letter.last_ms)
            and (self.until_ms is None or letter.last_ms <= self.until_ms)
        )

    def described(self) -> dict[str, Any]:
        """Return what is said, for the record."""
        said = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in said.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class Ids:
    """Dead letters that are named one by one."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Dead letters in their order. `next`: past which id the next page begins, None when this is the last.

    `total` is how many the group has, whatever is wanted. A page may hold fewer than it could and not be the last: no
    more than some thousands are looked through for it, and `complete` is False then.
    """

    letters: tuple[DeadLetter, ...]
    next: str | None
    complete: bool
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """How many dead letters are meant (at least so many, unless `exact`), the first of them, and how many are not
    there of those that were named."""

    count: int
    sample: tuple[str, ...] = ()
    gone: int = 0
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Dead letters whose errors have all in common but ids, numbers and quotations.

    `newest` is the id of the newest of them, `example` its error.
    """

    fingerprint: str
    pattern: str
    newest: str
    example: str
    count: int
    event_types: tuple[str, ...]
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """What went wrong, the most frequent first. `complete`: all dead letters were looked at, not the newest alone."""

    groups: tuple[ErrorGroup, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """What became of dead letters that were to be delivered again.

    `moved` are on their way. `waiting`: the same event is on its way already, so the dead letter stays; `gone`: there
    was none of this id; `broken`: it is no dead letter of ours. `results` has the answer for each id. `cursor` goes on,
    None when all that was meant was looked at.
    """

    moved: int = 0
    waiting: int = 0
    gone: int = 0
    broken: int = 0
    results: tuple[tuple[str, Replayed], ...] = ()
    cursor: str | None = None

    @classmethod
    def of(cls, ids: Sequence[str], answers: Sequence[Replayed], *, cursor: str | None = None) -> "Redriven":
        """Count answers."""
        return cls(
            moved=answers.count("retry"),
            waiting=answers.count("waiting"),
            gone=answers.count("gone"),
            broken=answers.count("broken"),
            results=tuple(zip(ids, answers, strict=True)),
            cursor=cursor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A dead letter that goes out with another event. `warnings`: what that breaks of a contract that only warns."""

    redriven: Redriven
    event: Mapping[str, Any]
    contract_version: int | None
    warnings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """How many dead letters were thrown away, and how many were gone already. `cursor` as in `Redriven`."""

    count: int = 0
    gone: int = 0
    cursor: str | None = None
