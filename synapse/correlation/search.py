"""Finds events by an id, over many streams: by entry id, Idempotency-Key, trace id, or a declared property.

The index of each stream names blocks of entries that may match; entries that are not indexed yet are all read. Each
entry is then compared as the caller may see it, so masked values cannot be found.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from synapse.auth.principal import ANONYMOUS, EVERY_TYPE, PERSONAL, Principal, Rights, sees
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.correlation.digests import LONGEST, TRACE_ID, Digests, ids_of_entry, mask_entry, trace_of
from synapse.formats import exact_json
from synapse.inspection.range_query import MOST_BYTES, Scan, parse_id
from synapse.publishing import idempotency
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
from synapse.wire.encoding import CLOUDEVENT, VERSION, decode_texts, pairs, text_fields
from synapse.wire.ids import Range, following, iso_of, moment_of, parse
from synapse.wire.masking import mask_of

ENTRY_ID, IDEMPOTENCY_KEY = "entry id", idempotency.HEADER
# The number of streams that are searched at once.
_TOGETHER = 20
# Limits on the blocks of a stream that are read: in all, and at once; and the entries of a block.
MOST_BLOCKS, _BLOCKS_AT_ONCE, _ENTRIES_OF_BLOCK = 200, 20, 16
# An index that changes while it is searched is searched again from its start, at most this many times.
_MOST_CHANGES = 10
# Limits on the entries that are read without the index: of a stream, and of all streams; and the number that is read of
# each stream in any case.
MOST_UNINDEXED, MOST_UNINDEXED_OF_ALL, LEAST_UNINDEXED = 10_000, 50_000, 256
# The limit on the bytes that are read of all streams: of entries that are not indexed, and separately of blocks. A
# stream takes at most half of the remaining bytes, so that the others are read, too.
MOST_BYTES_OF_ALL = 32 * 1024 * 1024
_REPLY_BYTES = 1024 * 1024
# The limit on the bytes of a stream's blocks when the caller may not read all event types.
_HIDDEN_BYTES = 2 * 1024 * 1024
# Limits on the search for an Idempotency-Key: publishers of a stream, and commands for all streams.
MOST_PUBLISHERS, MOST_KEY_COMMANDS = 100, 4_000
# Characters that JSON may contain as escapes.
_ESCAPED = re.compile(r'[^ -~]|["\\/<>&\']')
_VERSION, _CLOUDEVENT = VERSION.encode(), CLOUDEVENT.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A found event. `found_by` has the kinds of ids that matched: `ENTRY_ID`, `IDEMPOTENCY_KEY`, `TRACE_ID`,
    `CLOUDEVENT_ID`, or names of properties.
    """

    stream: str
    id: str
    event_type: str | None
    timestamp: str | None
    found_by: Sequence[str]

    def to_json(self) -> dict[str, Any]:
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
    """Events of a stream that were not searched because of a limit: between two ids, "" for the stream's ends."""

    stream: str
    after: str
    before: str

    def is_whole(self) -> bool:
        """Say whether these are all events of the stream."""
        return not self.after and not self.before

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of the API: with times in place of ids."""
        return {
            "stream": self.stream,
            "since": iso_of(moment_of(self.after)) if self.after else None,
            "until": iso_of(moment_of(self.before)) if self.before else None,
        }


@dataclass(slots=True, kw_only=True)
class Found:
    """The result of a search: the events, newest first, and the events that were not searched."""

    matches: list[Match] = field(default_factory=list)
    unsearched: list[Unsearched] = field(default_factory=list)


@dataclass(slots=True)
class _Budget:
    """The work that may still be done, for the streams that were not searched yet."""

    entries: int
    unindexed_bytes: int
    block_bytes: int
    key_commands: int
    streams: int

    def most_publishers(self) -> int:
        """Return the most publishers to try for the next stream; streams with fewer leave more for others."""
        # Each publisher takes two commands.
        return min(MOST_PUBLISHERS, self.key_commands // (2 * max(self.streams, 1)))


def find_by_id(
    text: str,
    catalog: Snapshot,
    by: Principal,
    digests: Digests,
    *,
    count: int,
    own_keys: bool = False,
    most_bytes: int = MOST_BYTES_OF_ALL,
) -> Conversation[Found]:
    """Find the events with an id, in all streams that the caller may read.

    Args:
        text: the id.
        count: the most events to return.
        own_keys: whether to try only the Idempotency-Keys of the caller and of anonymous callers.
        most_bytes: the most bytes to read of entries that are not indexed, and separately of indexed ones.
    """
    text = text.strip()
    found = Found()
    if not text or len(text) > LONGEST:
        return found
    names = sorted(name for name in catalog.streams if by.rights.may("read", name))
    most_publishers: dict[str, list[Rights]] = {}
    for key in catalog.keys.values() if idempotency.KEY.fullmatch(text) else ():
        most_publishers.setdefault(f"service:{key.service}", []).append(key.rights)
    budget = _Budget(MOST_UNINDEXED_OF_ALL, most_bytes, most_bytes, MOST_KEY_COMMANDS, len(names))
    for start in range(0, len(names), _TOGETHER):
        searches = []
        for name in names[start : start + _TOGETHER]:
            yield ()  # there may be many publishers
            services = [
                each for each, keys in most_publishers.items() if any(rights.may("publish", name) for rights in keys)
            ]
            search = _Search(text, catalog.streams[name], by, digests, count=count)
            search.choose_publishers(services, own_keys=own_keys, budget=budget)
            searches.append(search)
        begun = yield from together({search.name: search.find_candidates() for search in searches})
        for search in searches:
            # One after the other: together they would keep other requests waiting.
            yield from _finish_search(search, begun[search.name], budget)
            found.matches += search.matches.values()
            found.unsearched += search.unsearched
    found.matches.sort(key=lambda match: parse(match.id), reverse=True)
    del found.matches[count:]
    return found


def _finish_search(search: "_Search", begun: "_FirstReplies | RedisFailure", budget: _Budget) -> Conversation[None]:
    """Finish the search of a stream. A stream that Redis refuses to read is reported as not searched.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    try:
        if isinstance(begun, RedisFailure):
            raise begun
        yield from search.read_matches(begun, budget)
    except RedisUnavailable:
        raise
    except WrongType:
        # There are no events under this name.
        pass
    except RedisFailure:
        search.report_unsearched()


class _FirstReplies(NamedTuple):
    """The replies to the first commands: ids of entries, each with the kind of id that matched, and the matches in the
    index.
    """

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
        count: int,
    ) -> None:
        self._text = text
        self._trace = trace_of(text)
        self._stream = stream
        self._by = by
        self._sees_pii = by.rights.has(PERSONAL)
        self._digests = digests
        self._publishers: list[str] = []
        self._count = count
        self.name = stream.name
        self._is_escaped = bool(_ESCAPED.search(text))
        self._needle, self._trace_needle = text.encode("utf-8", "surrogatepass"), self._trace.encode()
        self._json_needle = exact_json.dumps(text.encode("utf-8", "replace").decode())
        self.matches: dict[str, Match] = {}
        self.unsearched: list[Unsearched] = []

    def choose_publishers(self, services: Iterable[str], *, own_keys: bool, budget: _Budget) -> None:
        """Choose the publishers whose Idempotency-Keys are looked up: the caller, anonymous callers and services."""
        if not idempotency.KEY.fullmatch(self._text):
            return
        own = (str(self._by), str(ANONYMOUS))
        most_publishers = list(dict.fromkeys((*own, *services)))
        tried = list(dict.fromkeys(own)) if own_keys else most_publishers
        self._publishers = tried[: budget.most_publishers()]
        budget.key_commands -= 2 * len(self._publishers)
        budget.streams -= 1
        if len(self._publishers) < len(most_publishers):
            self.report_unsearched()

    def report_unsearched(self, *, after: str = "", before: str = "") -> None:
        """Record that events were not searched: between two ids, "" for the stream's ends."""
        if not after and not before:
            # The whole stream: ranges within it need not be reported.
            self.unsearched.clear()
        elif self.unsearched and self.unsearched[0].is_whole():
            return
        self.unsearched.append(Unsearched(stream=self.name, after=after, before=before))

    def find_candidates(self) -> Conversation[_FirstReplies]:
        """Ask Redis for candidates that take no reading of many entries: entry ids, stored keys, and blocks of the
        index.
        """
        stream = self._stream
        ids: dict[str, str] = {}
        if (asked := parse_id(self._text)) and "-" in self._text:
            ids[str(asked.first)] = ENTRY_ID
        commands: list[Command] = [self._find_in_index()]
        # Each event of a batch has its own key, made of the batch's key and its index.
        commands += [
            stored_under(stream.name, who=who, key=key)
            for who in self._publishers
            for key in (self._text, idempotency.key_of_item(self._text, 0))
        ]
        in_index, *stored = yield from ask(commands)
        for reply in stored:
            for id_ in answer(reply, stream.name, absent=[])[: self._count]:
                ids.setdefault(id_, IDEMPOTENCY_KEY)
        return _FirstReplies(ids, (yield from self._find_in_older_segments(answer(in_index, stream.name))))

    def _find_in_index(self, after: correlation.IndexMatches | None = None) -> Command:
        covered_fields = self._digests.index_name(self._stream)
        wanted = self._digests.lookup_digests(self._text, pii=self._sees_pii)
        return correlation.find_in_index(self.name, covered_fields, wanted, most=MOST_BLOCKS + 1, after=after)

    def _find_in_older_segments(self, newest: correlation.IndexMatches) -> Conversation[correlation.IndexMatches]:
        """Return the matches in all segments, given those in the newest ones."""
        part, blocks, is_damaged, changes = newest, list(newest.blocks), newest.is_damaged, 0
        while part.searched and len(blocks) <= MOST_BLOCKS and changes < _MOST_CHANGES:
            version = part.version
            (reply,) = yield from ask([self._find_in_index(part)])
            part = answer(reply, self.name)
            if part.version != version:
                changes, blocks, is_damaged = changes + 1, [], False
            blocks += part.blocks
            is_damaged |= part.is_damaged
        return part._replace(blocks=blocks, is_damaged=is_damaged or changes == _MOST_CHANGES)

    def read_matches(self, begun: _FirstReplies, budget: _Budget) -> Conversation[None]:
        """Read the candidates and the unindexed entries, and collect the matches.

        Args:
            begun: the result of `find_candidates`.
            budget: the work that may still be done; that of this stream is deducted.
        """
        ids, in_index = begun
        replies = (yield from ask([xrange(self.name, id_, id_, 1) for id_ in ids])) if ids else []
        for reply in replies:
            for entry in answer(reply, self.name, absent=[]):
                self._add_if_match(entry, ids[entry.id])
        if not self._stream.correlation:
            return
        yield from self._read_unindexed(in_index.position, budget)
        if in_index.position is not None:
            yield from self._read_blocks(in_index.blocks, budget)
            if in_index.is_damaged:
                self.report_unsearched(before=in_index.position)

    def _read_unindexed(self, position: str | None, budget: _Budget) -> Conversation[None]:
        """Read the entries after the last indexed one, newest first."""
        name = self._stream.name
        after = Range() if position is None else Range(first=following(parse(position)))
        most = max(LEAST_UNINDEXED, min(MOST_UNINDEXED, budget.entries))
        scan = Scan(name, after, order="newest", most=most, most_bytes=min(MOST_BYTES, budget.unindexed_bytes // 2))
        oldest = ""
        while not scan.done and len(self.matches) < self._count:
            (reply,) = yield from ask([scan.command()])
            entries = scan.take_chunk(answer(reply, name, absent=[]))
            yield from map_cooperatively(entries, self._check_entry, at_once=20)
            oldest = entries[-1].id if entries else oldest
        budget.entries -= scan.entries
        budget.unindexed_bytes = max(budget.unindexed_bytes - scan.bytes, 0)
        if scan.done and not scan.exhausted:
            self.report_unsearched(after=position or "", before=oldest)

    def _read_blocks(self, blocks: Sequence[str], budget: _Budget) -> Conversation[None]:
        """Read the entries of blocks until there are enough matches."""
        # Events that the caller may not see must not influence anything visible: neither the budget of other streams,
        # nor the reported ranges.
        sees_all = self._by.rights.may("read", self.name, EVERY_TYPE)
        most_bytes, read_bytes, read, at_once = budget.block_bytes // 2 if sees_all else _HIDDEN_BYTES, 0, 0, 1
        while read < min(len(blocks), MOST_BLOCKS) and read_bytes < most_bytes and len(self.matches) < self._count:
            some = blocks[read : min(read + at_once, MOST_BLOCKS)]
            replies = yield from ask([xrange(self.name, first, "+", _ENTRIES_OF_BLOCK) for first in some])
            for reply in replies:
                entries = answer(reply, self.name, absent=[])
                read_bytes += sum([sum(map(len, entry.parts)) for entry in entries])
                yield from map_cooperatively(entries, self._check_entry, at_once=20)
            read += len(some)
            # The first block shows how large the entries are.
            fitting = min(_REPLY_BYTES, most_bytes - read_bytes) * read // max(read_bytes, 1)
            at_once = max(1, min(_BLOCKS_AT_ONCE, fitting))
        if not sees_all:
            return
        budget.block_bytes = max(budget.block_bytes - read_bytes, 0)
        if read < len(blocks) and len(self.matches) < self._count:
            self.report_unsearched(before=blocks[read - 1] if read else "")

    def _check_entry(self, entry: Entry) -> None:
        if entry.id not in self.matches and self._may_match(entry.parts):
            self._add_if_match(entry)

    def _may_match(self, parts: Sequence[bytes]) -> bool:
        """Say whether an entry may contain the text: most do not, and need not be decoded."""
        if self._needle in parts:
            return True
        if self._trace_needle and any(self._trace_needle in part for part in parts):
            return True
        if _VERSION in parts:
            # The attributes of a CloudEvent contain it as JSON.
            names = parts[::2] if _CLOUDEVENT in parts else ()
            return _CLOUDEVENT in names and self._json_needle in parts[2 * names.index(_CLOUDEVENT) + 1]
        # The payload may contain it.
        return self._is_escaped or any(self._needle in part for part in parts)

    def _add_if_match(self, entry: Entry, found_by: str = "") -> None:
        """Add an entry to the matches if it matches as the caller may see it."""
        stream = self._stream
        texts = text_fields(pairs(entry.parts))
        decoded = decode_texts(texts, types_of=stream.types_of)
        if not sees(self._by.rights, stream.name, decoded.event_type):
            return
        if not self._sees_pii and (mask := mask_of(stream, decoded)):
            decoded, texts = mask_entry(mask, decoded, texts)
        reasons = [found_by] if found_by else []
        reasons += [name for name, text in ids_of_entry(stream, decoded, texts) if text == self._text_to_find(name)]
        if reasons:
            self.matches[entry.id] = Match(
                stream=stream.name,
                id=entry.id,
                event_type=decoded.event_type or None,
                timestamp=decoded.timestamp,
                found_by=reasons,
            )

    def _text_to_find(self, name: str) -> str:
        return self._trace if name == TRACE_ID else self._text
