"""Dead letters together by what their errors have in common."""

from dataclasses import dataclass, field

from bridges.dead_letters.queries import MOST_LOOKED_AT, walk
from bridges.dead_letters.redaction import seen_by
from synapse.auth.principal import SYSTEM, Principal
from synapse.dead_letters.dead_letter import (
    DeadLetter,
    ErrorGroup,
    Errors,
    Wanted,
    pattern,
)


def by_error(
    stream: str,
    group: str,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    *,
    by: Principal = SYSTEM,
) -> Errors:
    """Return what went wrong with those that are wanted, the most frequent first; the newest ten thousand are counted.

    Raises:
        NotAStream, Unavailable: when Redis cannot be used for this.
    """
    found: dict[str, _Counted] = {}
    complete = True
    for looked_at, letter in enumerate(walk(stream, group)):
        if looked_at == MOST_LOOKED_AT:
            complete = False
            break
        if wanted.holds(letter):
            if letter.fingerprint not in found:
                found[letter.fingerprint] = _Counted(letter.id, seen_by(letter, by).error, _pattern(letter))
            found[letter.fingerprint].add(letter)
    groups = [counted.group(name) for name, counted in found.items()]
    return Errors(groups=tuple(sorted(groups, key=lambda one: (-one.count, -one.last_ms))), complete=complete)


def _pattern(letter: DeadLetter) -> str:
    return pattern(letter.mask.text(letter.error, letter.event) if letter.mask else letter.error)


@dataclass(slots=True)
class _Counted:
    """What is kept of those with one fingerprint: none of their events, of which each may be large."""

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
