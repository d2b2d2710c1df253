"""Find the events that are known by a text, over many streams: by entry id, Idempotency-Key, trace id, or a property.

Of each stream the index names blocks of entries that may be meant, and the entries that are not indexed yet are read.
Each entry is then looked at as the caller may see it: what is masked for the caller cannot be found by its value.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from synapse.auth.principal import ANONYMOUS, PERSONAL, Principal, Rights, sees
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.correlation.values import LONGEST, TRACE_ID, Digests, known_by, masked, trace_of
from synapse.inspection.range_query import Scan, parse_id
from synapse.redis import (
    Command,
    Conversation,
    RedisFailure,
    RedisUnavailable,
    WrongType,
    answer,
    ask,
    map_cooperatively,
    together,
)
from synapse.redis.commands import correlation
from synapse.redis.commands.publishing import stored_under
from synapse.redis.commands.streams import Entry, xrange
from synapse.wire.encoding import VERSION, decode_texts, pairs, text_fields
from synapse.wire.ids import Range, following, iso_of, moment_of, parse
from synapse.wire.masking import mask_of

ENTRY_ID, IDEMPOTENCY_KEY = "entry id", "Idempotency-Key"
# So many streams are asked at once.
_TOGETHER = 20
# Of a stream so many blocks are looked into, so many at once.
MOST_BLOCKS, _BLOCKS_AT_ONCE, _ENTRIES_OF_BLOCK = 200, 20, 16
# So many entries that are not indexed are read: of a stream, of all streams, and of each in any case.
MOST_UNINDEXED, MOST_UNINDEXED_OF_ALL, LEAST_UNINDEXED = 10_000, 50_000, 256
# Under an Idempotency-Key, so many publishers are tried for a stream.
MOST_PUBLISHERS = 100
_KEY = re.compile(r"[!-~]{1,128}")
# In JSON these may stand as escapes.
_ESCAPED = re.compile(r'[^ -~]|["\\/<>&\']')
_VERSION = VERSION.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An event that was found, and by what: `ENTRY_ID`, `IDEMPOTENCY_KEY`, `TRACE_ID`, or names of properties."""

    stream: str
    id: str
    event_type: str | None
    timestamp: str | None
    found_by: Sequence[str]

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "stream": self.stream,
            "id": self.id,
            "event_type": self.event_type,
            "timestamp": self.timestamp,
            "found_by": list(self.found_by),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsearched:
    """Events of a stream that are not indexed yet, and too many to be read: between two ids, "" for its ends."""

    stream: str
    after: str
    before: str

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it: with times in place of ids."""
        return {
            "stream": self.stream,
            "since": iso_of(moment_of(self.after)) if self.after else None,
            "until": iso_of(moment_of(self.before)) if self.before else None,
        }


@dataclass(slots=True, kw_only=True)
class Found:
    """The result of a search: events, the newest first, and those that it could not search."""

    matches: list[Match] = field(default_factory=list)
    unsearched: list[Unsearched] = field(default_factory=list)


def find(text: str, catalog: Snapshot, by: Principal, digests: Digests, *, count: int) -> Conversation[Found]:
    """Return the events that are known by a text, `count` at most, of all streams that the caller may read."""
    text = text.strip()
    found = Found()
    if not text or len(text) > LONGEST:
        return found
    names = sorted(name for name in catalog.streams if by.rights.may("read", name))
    publishers: dict[str, list[Rights]] = {}
    for key in catalog.keys.values():
        publishers.setdefault(f"service:{key.service}", []).append(key.rights)
    unindexed = MOST_UNINDEXED_OF_ALL
    for start in range(0, len(names), _TOGETHER):
        searches = []
        for name in names[start : start + _TOGETHER]:
            yield ()  # there may be many publishers
            who = [each for each, keys in publishers.items() if any(rights.may("publish", name) for rights in keys)]
            searches.append(_Search(text, catalog.streams[name], by, digests, publishers=who, count=count))
        begun = yield from together({search.name: search.begin() for search in searches})
        for search in searches:
            # One after the other: together they would keep all others waiting.
            yield from _ended(search, begun[search.name], unindexed)
            unindexed -= search.unindexed
            found.matches += search.matches.values()
            found.unsearched += search.unsearched
    found.matches.sort(key=lambda match: parse(match.id), reverse=True)
    del found.matches[count:]
    return found


def _ended(search: "_Search", begun: "_Begun | RedisFailure", unindexed: int) -> Conversation[None]:
    """End the search of a stream; one that Redis does not let read was not searched.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    try:
        if isinstance(begun, RedisFailure):
            raise begun
        yield from search.end(begun, most_unindexed=unindexed)
    except RedisUnavailable:
        raise
    except WrongType:
        # There are no events under this name.
        pass
    except RedisFailure:
        search.unsearched.append(Unsearched(stream=search.name, after="", before=""))


class _Begun(NamedTuple):
    """Answers to the first questions about a stream: ids that are meant for certain, each with why, and the index's."""

    ids: Mapping[str, str]
    in_index: correlation.IndexMatches


class _Search:
    """The search in one stream."""

    def __init__(
        self,
        text: str,
        stream: StreamDefinition,
        by: Principal,
        digests: Digests,
        *,
        publishers: Iterable[str],
        count: int,
    ) -> None:
        self._text = text
        self._trace = trace_of(text)
        self._stream = stream
        self._by = by
        self._sees_pii = by.rights.has(PERSONAL)
        self._digests = digests
        self._publishers = list(dict.fromkeys((str(by), str(ANONYMOUS), *publishers)))[:MOST_PUBLISHERS]
        self._count = count
        self.name = stream.name
        self.unindexed = 0
        self._is_escaped = bool(_ESCAPED.search(text))
        self._needle, self._trace_needle = text.encode("utf-8", "surrogatepass"), self._trace.encode()
        self.matches: dict[str, Match] = {}
        self.unsearched: list[Unsearched] = []

    def begin(self) -> Conversation[_Begun]:
        """Ask for what is found without reading many entries."""
        stream = self._stream
        ids: dict[str, str] = {}
        if (asked := parse_id(self._text)) and "-" in self._text:
            ids[str(asked.first)] = ENTRY_ID
        of = self._digests.index_name(stream)
        wanted = self._digests.of_text(self._text, pii=self._sees_pii)
        commands: list[Command] = [correlation.find_in_index(stream.name, of, wanted, most=MOST_BLOCKS)]
        if _KEY.fullmatch(self._text):
            # Each event of a batch has a key of its own, made of the batch's and its place.
            commands += [
                stored_under(stream.name, who=who, key=key)
                for who in self._publishers
                for key in (self._text, f"{self._text}/0")
            ]
        in_index, *stored = yield from ask(commands)
        for reply in stored:
            for id_ in answer(reply, stream.name, absent=[])[: self._count]:
                ids.setdefault(id_, IDEMPOTENCY_KEY)
        return _Begun(ids, answer(in_index, stream.name))

    def end(self, begun: _Begun, *, most_unindexed: int) -> Conversation[None]:
        """Find the matches.

        Args:
            begun: what was found before.
            most_unindexed: how many entries are read at most that are not indexed, of many.
        """
        ids, in_index = begun
        replies = (yield from ask([xrange(self.name, id_, id_, 1) for id_ in ids])) if ids else []
        for reply in replies:
            for entry in answer(reply, self.name, absent=[]):
                self._look_at(entry, ids[entry.id])
        if not self._stream.correlation:
            return
        most = max(LEAST_UNINDEXED, min(MOST_UNINDEXED, most_unindexed))
        yield from self._read_unindexed(in_index.place, most=most)
        if in_index.place is not None:
            yield from self._read_blocks(in_index.blocks)
            if in_index.is_damaged:
                self.unsearched.append(Unsearched(stream=self.name, after="", before=in_index.place))

    def _read_unindexed(self, place: str | None, *, most: int) -> Conversation[None]:
        """Look at the entries behind the last indexed one, the newest first."""
        name = self._stream.name
        after = Range() if place is None else Range(first=following(parse(place)))
        scan = Scan(name, after, order="newest", most=most)
        oldest = ""
        while not scan.done and len(self.matches) < self._count:
            (reply,) = yield from ask([scan.command()])
            entries = scan.take(answer(reply, name, absent=[]))
            yield from map_cooperatively(entries, self._offer, at_once=20)
            oldest = entries[-1].id if entries else oldest
        self.unindexed = scan.entries
        if scan.done and not scan.exhausted:
            self.unsearched.append(Unsearched(stream=name, after=place or "", before=oldest))

    def _read_blocks(self, blocks: Sequence[str]) -> Conversation[None]:
        """Look at the entries of blocks, until there are enough matches."""
        for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
            if len(self.matches) >= self._count:
                return
            some = blocks[start : start + _BLOCKS_AT_ONCE]
            replies = yield from ask([xrange(self._stream.name, first, "+", _ENTRIES_OF_BLOCK) for first in some])
            for reply in replies:
                yield from map_cooperatively(answer(reply, self._stream.name, absent=[]), self._offer, at_once=20)

    def _offer(self, entry: Entry) -> None:
        if entry.id not in self.matches and self._may_match(entry.parts):
            self._look_at(entry)

    def _may_match(self, parts: Sequence[bytes]) -> bool:
        """Say whether an entry has to be decoded: most hold the text nowhere."""
        if self._needle in parts:
            return True
        if self._trace_needle and any(self._trace_needle in part for part in parts):
            return True
        if _VERSION in parts:
            return False
        # It may stand in the payload.
        return self._is_escaped or any(self._needle in part for part in parts)

    def _look_at(self, entry: Entry, found_by: str = "") -> None:
        """Keep an entry that matches, as the caller may see it."""
        stream = self._stream
        texts = text_fields(pairs(entry.parts))
        decoded = decode_texts(texts, types_of=stream.types_of)
        if not sees(self._by.rights, stream.name, decoded.event_type):
            return
        if not self._sees_pii and (mask := mask_of(stream, decoded)):
            decoded, texts = masked(mask, decoded, texts)
        reasons = [found_by] if found_by else []
        reasons += [name for name, text in known_by(stream, decoded, texts) if text == self._wanted(name)]
        if reasons:
            self.matches[entry.id] = Match(
                stream=stream.name,
                id=entry.id,
                event_type=decoded.event_type or None,
                timestamp=decoded.timestamp,
                found_by=reasons,
            )

    def _wanted(self, name: str) -> str:
        return self._trace if name == TRACE_ID else self._text
