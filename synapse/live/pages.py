"""Reads the stored entries of a stream in pages, and notices when entries are missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse.redis import AsyncExecutor, Conversation, answer, ask
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.wire.ids import LAST, EntryId, following, parse

_FIRST, _MOST = 10, 100
# The approximate size of a page: a client that catches up must not keep others waiting.
_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of entries, oldest first.

    `is_last`: the requested range has no more. `has_gap`: the entry before the page is gone, and so are older ones, so
    entries in between may be missing.
    """

    entries: list[Entry]
    is_last: bool
    has_gap: bool


class Pages:
    """Reads a stream forward from the id `after`.

    `was_seen`: the reader has received the entry of that id.
    """

    def __init__(self, stream: str, after: EntryId, *, was_seen: bool) -> None:
        self._stream = stream
        self._was_seen = was_seen
        self._count = _FIRST
        self.after = after

    async def next(self, executor: AsyncExecutor, until: EntryId = LAST) -> Page:
        """Return the next page, up to the id `until`.

        Raises:
            WrongType, RedisUnavailable: when the stream cannot be read; the call can be repeated for the same page.
        """
        page = await executor.run(self._read_page(until))
        if page.entries:
            self.after, self._was_seen = parse(page.entries[-1].id), True
            size = sum(len(part) for entry in page.entries for part in entry.parts) // len(page.entries)
            self._count = min(_MOST, max(1, _BYTES // max(size, 1)))
        elif page.has_gap:
            # The gap was reported once.
            self._was_seen = False
        return page

    def begin_again(self, at: EntryId) -> None:
        """Continue reading after another id, whose entry the reader has not received."""
        self.after, self._was_seen = at, False

    def _read_page(self, until: EntryId) -> Conversation[Page]:
        # Read the reader's last entry again: if it still exists, nothing after it was trimmed.
        first = self.after if self._was_seen else following(self.after)
        read = stream_commands.xrange(self._stream, str(first), str(until), self._count + 1)
        # XINFO comes after the page, so that a trim between the two is noticed rather than missed.
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
        """Say whether entries after the reader's position may be missing: there were some, and the oldest that is left
        is behind the position.
        """
        if not info or parse(info["last-generated-id"]) <= self.after:
            return False
        oldest = info["first-entry"]
        return oldest is None or parse(oldest.id) > self.after
