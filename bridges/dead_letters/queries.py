"""Read-only queries of dead letters: counts by group, pages, single letters and selections."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from bridges import snapshot
from bridges.dead_letters.permissions import select_for_reader
from streams import connections
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM, Principal
from synapse.dead_letters import (
    DeadLetter,
    DeadLetterCriteria,
    Ids,
    Page,
    Selection,
    fingerprint,
    former_fingerprint,
    is_id,
)
from synapse.errors.delivery import NoSuchDeadLetter, UnknownGroup
from synapse.errors.streams import UnknownStream
from synapse.inspection.range_query import Order
from synapse.redis import Command, Conversation, answer, answer_or, ask
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.dead_letters import StoredLetter
from synapse.wire import encoding, fast_decoder
from synapse.wire.encoding import text_fields
from synapse.wire.masking import mask_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterCount:
    """The number of dead letters of a group. `bridge` is the name of the bridge that reads as it, "" for none."""

    stream: str
    group: str
    count: int
    bridge: str = ""


def counts_of_all_groups() -> Conversation[list[DeadLetterCount]]:
    """Return the number of dead letters of each group of all streams, largest first, without groups that have none."""
    streams = sorted(holder.current().streams)
    bridges = {(bridge.stream, bridge.group): bridge.name for bridge in snapshot.holder.current().values()}
    replies = (yield from ask([stream_commands.xinfo_groups(stream) for stream in streams])) if streams else []
    known = set(bridges)
    for stream, reply in zip(streams, replies, strict=True):
        known |= {(stream, found.name) for found in answer_or(reply, stream, [])}
    counts = yield from counts_of(sorted(known))
    found = [
        DeadLetterCount(stream=stream, group=group, count=count, bridge=bridges.get((stream, group), ""))
        for (stream, group), count in counts.items()
        if count
    ]
    return sorted(found, key=lambda place: -place.count)


def counts_of(groups: Iterable[tuple[str, str]]) -> Conversation[dict[tuple[str, str], int]]:
    """Return the number of dead letters of each given group, by pairs of stream and group."""
    asked = list(groups)
    replies = (yield from ask([dead_letter_commands.count(*one) for one in asked])) if asked else []
    return {one: answer_or(reply, one[0], 0) for one, reply in zip(asked, replies, strict=True)}


# The number of dead letters in one reply of Redis; each may be a quarter of a megabyte.
_AT_ONCE = 100
# The number of dead letters that one query reads at most.
MOST_LOOKED_AT = 10_000
MOST_ON_A_PAGE = 200
SAMPLE = 10

T = TypeVar("T")


def check_group(stream: str, group: str) -> None:
    """Check that the stream is defined and the group exists: in Redis, as a bridge's group, or with dead letters.

    Raises:
        UnknownStream, UnknownGroup: when it does not exist.
        WrongType, RedisUnavailable: when Redis cannot be used for this; all functions here raise these.
    """
    if stream not in holder.current().streams:
        raise UnknownStream(stream)
    asked = [stream_commands.xinfo_groups(stream), dead_letter_commands.count(stream, group)]
    groups, left = connections.executor().run(ask(asked))
    known = {found.name for found in answer(groups, stream, absent=[])}
    known |= snapshot.holder.durable_groups().get(stream, {}).keys()
    if group not in known and not answer(left, stream, absent=0):
        raise UnknownGroup(stream, group)


def count(stream: str, group: str) -> int:
    """Return the number of dead letters of a group."""
    found: int = _run_command(stream, dead_letter_commands.count(stream, group))
    return found


def read_page(
    stream: str,
    group: str,
    wanted: DeadLetterCriteria = DeadLetterCriteria(),  # noqa: B008 - frozen
    *,
    limit: int = 50,
    order: Order = "newest",
    past: str = "",
    by: Principal = SYSTEM,
) -> Page:
    """Return at most `limit` (200) dead letters that match the filter, after the id `past`, as `by` may see them.

    Raises:
        NoSuchDeadLetter: when `past` is no id.
    """
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    letters, following, looked_at = scan(
        stream, group, wanted, lambda letter: letter, by=by, limit=limit, order=order, past=past
    )
    return Page(
        letters=tuple(letters),
        next=following,
        complete=following is None or looked_at < MOST_LOOKED_AT or len(letters) == limit,
        total=count(stream, group),
    )


def scan(
    stream: str,
    group: str,
    wanted: DeadLetterCriteria,
    keep: Callable[[DeadLetter], T],
    *,
    by: Principal,
    limit: int,
    order: Order = "newest",
    past: str = "",
) -> tuple[list[T], str | None, int]:
    """Return three values: `keep(letter)` for each matching dead letter, masked for `by`; the id to continue after,
    None at the end; and the number of letters read.

    The scan ends after `limit` matches, or after ten thousand letters.
    """
    kept: list[T] = []
    following, looked_at = None, 0
    for letter in iterate(stream, group, order=order, past=past):
        if len(kept) == limit or looked_at == MOST_LOOKED_AT:
            return kept, following, looked_at
        following, looked_at = letter.id, looked_at + 1
        if seen := select_for_reader(letter, wanted, by):
            kept.append(keep(seen))
    return kept, None, looked_at


def get(stream: str, group: str, id_: str) -> DeadLetter:
    """Return one dead letter unmasked; callers that show it apply `mask_for_reader`.

    Raises:
        NoSuchDeadLetter: when there is none with this id.
    """
    found = _run_command(stream, dead_letter_commands.letter(stream, group, check_id(id_)))
    if not found:
        raise NoSuchDeadLetter(id_)
    return _decode_letter(stream, group, found[0])


def preview(stream: str, group: str, what: Ids | DeadLetterCriteria, *, by: Principal) -> Selection:
    """Return how many dead letters a selection matches now, as `by` may see them, with the ids of some."""
    if isinstance(what, Ids):
        ids = tuple(dict.fromkeys(map(check_id, what.ids)))
        there = _find_existing(stream, group, ids)
        return Selection(count=len(there), sample=there[:SAMPLE], gone=len(ids) - len(there))
    if what == DeadLetterCriteria():
        newest, _, _ = scan(stream, group, what, attrgetter("id"), by=by, limit=SAMPLE)
        return Selection(count=count(stream, group), sample=tuple(newest))
    ids_found, following, _ = scan(stream, group, what, attrgetter("id"), by=by, limit=MOST_LOOKED_AT)
    return Selection(count=len(ids_found), sample=tuple(ids_found[:SAMPLE]), exact=following is None)


def iterate(stream: str, group: str, *, order: Order = "newest", past: str = "") -> Iterator[DeadLetter]:
    """Iterate over all dead letters in their order, after the id `past`."""
    past = check_id(past) if past else ""
    while True:
        asked = dead_letter_commands.letters(stream, group, count=_AT_ONCE, past=past, oldest_first=order == "oldest")
        found = _run_command(stream, asked)
        yield from (_decode_letter(stream, group, one) for one in found)
        if len(found) < _AT_ONCE:
            return
        past = found[-1].id


def check_id(id_: str) -> str:
    """Return the id of a dead letter unchanged.

    Raises:
        NoSuchDeadLetter: when it is invalid.
    """
    if not is_id(id_):
        raise NoSuchDeadLetter(id_)
    return id_


def _find_existing(stream: str, group: str, ids: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for some in (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE)):
        replies = connections.executor().run(ask([dead_letter_commands.letter(stream, group, id_) for id_ in some]))
        found += [id_ for id_, reply in zip(some, replies, strict=True) if answer(reply, stream, absent=[])]
    return tuple(found)


def _run_command(stream: str, command: Command) -> Any:
    (reply,) = connections.executor().run(ask([command]))
    return answer(reply, stream, absent=[])


def _decode_letter(stream: str, group: str, stored: StoredLetter) -> DeadLetter:
    definition = holder.current().display_definition(stream)
    decoded = fast_decoder.decode_parts(stored.parts, types_of=definition.types_of if definition else {})
    mask = mask_of(definition, decoded)
    error = mask.text(stored.error, decoded.event) if mask else stored.error
    return DeadLetter(
        id=stored.id,
        stream=stream,
        group=group,
        event_id=stored.event_id,
        event=decoded.event,
        event_type=decoded.event_type,
        timestamp=decoded.timestamp,
        source=decoded.source,
        contract_version=decoded.contract_version or None,
        layout=decoded.layout,
        data=text_fields(encoding.pairs(stored.parts)),
        error=stored.error,
        fingerprint=fingerprint(error),
        former_fingerprint=former_fingerprint(error),
        count=stored.count,
        attempts=stored.attempts,
        first_ms=stored.first_ms,
        last_ms=stored.last_ms,
        mask=mask,
    )
