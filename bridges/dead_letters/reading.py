"""Looking at dead letters: nothing here changes anything."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import orjson

from bridges.dead_letters.fingerprint import fingerprint, pattern
from bridges.dead_letters.values import DeadLetter, ErrorGroup, Errors, Page, Wanted
from bridges.errors import NoSuchDeadLetter
from streams import connections, entry
from streams.asking import answer, ask
from streams.broker import dead_letters
from streams.broker.command import Command
from streams.broker.dead_letters import StoredLetter
from streams.snapshot import holder

# How many are read at once: each may be a quarter of a megabyte.
_AT_ONCE = 100
# How many one question looks through.
MOST_LOOKED_AT = 10_000
MOST_ON_A_PAGE = 1000
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def count(stream: str, group: str) -> int:
    """Return how many dead letters a group has.

    Raises:
        Unavailable: when Redis cannot be used, as for all of these.
    """
    found: int = _ask(stream, dead_letters.count(stream, group))
    return found


def page(stream: str, group: str, wanted: Wanted = Wanted(), *, limit: int = 50, before: str = "") -> Page:  # noqa: B008 - frozen
    """Return those that are wanted, newest first: at most `limit` (1000), older than the one with the id `before`.

    Raises:
        NoSuchDeadLetter: when `before` is no id.
    """
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    letters: list[DeadLetter] = []
    last = None
    for looked_at, letter in enumerate(walk(stream, group, before=before), 1):
        last = letter.id
        if wanted.holds(letter):
            letters.append(letter)
        if len(letters) == limit or looked_at == MOST_LOOKED_AT:
            break
    else:
        last = None
    return Page(letters=tuple(letters), before=last, total=count(stream, group))


def get(stream: str, group: str, id_: str) -> DeadLetter:
    """Return one dead letter.

    Raises:
        NoSuchDeadLetter: when there is none of this id.
    """
    found = _ask(stream, dead_letters.letter(stream, group, checked(id_)))
    if not found:
        raise NoSuchDeadLetter(id_)
    return _letter(stream, group, found[0])


def by_error(stream: str, group: str, wanted: Wanted = Wanted()) -> Errors:  # noqa: B008 - frozen
    """Return what went wrong with those that are wanted, counted over the newest ten thousand."""
    found: dict[str, list[DeadLetter]] = {}
    complete = True
    for looked_at, letter in enumerate(walk(stream, group)):
        if looked_at == MOST_LOOKED_AT:
            complete = False
            break
        if wanted.holds(letter):
            found.setdefault(letter.fingerprint, []).append(letter)
    groups = sorted(map(_group, found.values()), key=lambda one: (-one.count, -one.last_ms))
    return Errors(groups=tuple(groups), complete=complete)


def export(stream: str, group: str, wanted: Wanted = Wanted()) -> Iterator[bytes]:  # noqa: B008 - frozen
    """Give those that are wanted, newest first, as lines of JSON: all that `DeadLetter` has."""
    for letter in walk(stream, group):
        if wanted.holds(letter):
            yield as_json(letter) + b"\n"


def as_json(letter: DeadLetter) -> bytes:
    """Return a dead letter as JSON. A value nested too deeply to be written within it is left as its text."""
    values = asdict(letter)
    try:
        return orjson.dumps(values)
    except TypeError:
        return orjson.dumps({**values, "event": repr(values["event"])})


def walk(stream: str, group: str, *, before: str = "") -> Iterator[DeadLetter]:
    """Give all dead letters, newest first, beginning with those older than the id `before`."""
    before = checked(before) if before else ""
    while True:
        found = _ask(stream, dead_letters.letters(stream, group, count=_AT_ONCE, before=before))
        yield from (_letter(stream, group, one) for one in found)
        if len(found) < _AT_ONCE:
            return
        before = found[-1].id


def checked(id_: str) -> str:
    """Return the id of a dead letter, as it came.

    Raises:
        NoSuchDeadLetter: when it is none.
    """
    # Redis keeps both halves of an id in 64 bits.
    if not _ID.fullmatch(id_) or max(map(int, id_.split("-"))) >= 2**64:
        raise NoSuchDeadLetter(id_)
    return id_


def _ask(stream: str, command: Command) -> Any:
    (reply,) = connections.executor().run(ask([command]))
    return answer(reply, stream, absent=[])


def _letter(stream: str, group: str, stored: StoredLetter) -> DeadLetter:
    definition = holder.current().streams.get(stream)
    decoded = entry.decode_parts(stored.parts, types_of=definition.types_of if definition else {})
    return DeadLetter(
        id=stored.id,
        stream=stream,
        group=group,
        event_id=stored.event_id,
        event=decoded.event,
        event_type=decoded.event_type,
        timestamp=decoded.timestamp,
        source=decoded.source,
        error=stored.error,
        fingerprint=fingerprint(stored.error),
        count=stored.count,
        attempts=stored.attempts,
        first_ms=stored.first_ms,
        last_ms=stored.last_ms,
    )


def _group(letters: list[DeadLetter]) -> ErrorGroup:
    newest = letters[0]
    return ErrorGroup(
        fingerprint=newest.fingerprint,
        pattern=pattern(newest.error),
        example=newest.error,
        count=len(letters),
        event_types=tuple(sorted({letter.event_type for letter in letters})),
        first_ms=min(letter.first_ms for letter in letters),
        last_ms=max(letter.last_ms for letter in letters),
    )
