"""Reading what a stream holds, page after page, for one who catches up: with no entry left out unnoticed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streams import connections
from synapse.redis import Conversation
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.redis.queries import answer, ask
from synapse.wire.ids import (
    LAST,
    EntryId,
    following,
    parse,
)

_FIRST, _MOST = 10, 100
# About how many bytes of entries a page is to hold: one who catches up must not keep others waiting.
_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, oldest first. `is_last` when there are no more in the range that was asked for. `has_gap` when the
    entry behind which the page begins is gone, and older ones too: what followed it may be gone as well."""

    entries: list[Entry]
    is_last: bool
    has_gap: bool


class Pages:
    """Reads a stream forward from `after`. `was_seen` says that the reader had the entry of that id."""

    def __init__(self, stream: str, after: EntryId, *, was_seen: bool) -> None:
        self._stream = stream
        self._was_seen = was_seen
        self._count = _FIRST
        self.after = after

    async def next(self, until: EntryId = LAST) -> Page:
        """Return the next page, up to an id.

        Raises:
            NotAStream, Unavailable: as their names say; the same page can be asked for again.
        """
        page = await connections.async_executor().run(self._ask(until))
        if page.entries:
            self.after, self._was_seen = parse(page.entries[-1].id), True
            size = sum(len(part) for entry in page.entries for part in entry.parts) // len(page.entries)
            self._count = min(_MOST, max(1, _BYTES // max(size, 1)))
        elif page.has_gap:
            # It was told once.
            self._was_seen = False
        return page

    def begin_again(self, at: EntryId) -> None:
        """Read on from another id, which the reader never had."""
        self.after, self._was_seen = at, False

    def _ask(self, until: EntryId) -> Conversation[Page]:
        # The entry that the reader had comes again: if it is there, nothing behind it was trimmed.
        first = self.after if self._was_seen else following(self.after)
        read = stream_commands.xrange(self._stream, str(first), str(until), self._count + 1)
        # Asked after the page: what is trimmed between the two is then noticed rather than missed.
        replies = yield from ask([read, stream_commands.xinfo_stream(self._stream)])
        found, info = (answer(reply, self._stream, absent=[]) for reply in replies)
        is_last = len(found) <= self._count
        has_gap = False
        if self._was_seen:
            if found and parse(found[0].id) == self.after:
                found = found[1:]
            else:
                has_gap = self._may_lack_some(info)
        return Page(entries=found, is_last=is_last, has_gap=has_gap)

    def _may_lack_some(self, info: Mapping[str, Any]) -> bool:
        """Say whether entries behind the reader's may be gone: there were some, and the oldest left is behind it."""
        if not info or parse(info["last-generated-id"]) <= self.after:
            return False
        oldest = info["first-entry"]
        return oldest is None or parse(oldest.id) > self.after
