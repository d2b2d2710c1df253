"""Reading a part of a stream in chunks, never more than a bound: one request must not hold up all others."""

from typing import Literal

from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.base import Command
from synapse.redis.commands.streams import Entry
from synapse.wire.ids import (
    Range,
    following,
    parse,
    preceding,
)

Order = Literal["newest", "oldest"]

MOST_ENTRIES = 10_000
MOST_BYTES = 16 * 1024 * 1024
# The first chunk shows how large the entries are; later ones are as long as fits into a reply of this size. Between
# two chunks the event loop serves others.
FIRST_CHUNK, LONGEST_CHUNK = 20, 250
_CHUNK_BYTES = 256 * 1024


class Scan:
    """Where a walk through a range of a stream stands.

    Send `command()` and give the entries of its reply to `take()`, until `done`. Then either `exhausted` says that
    there is nothing more in the range, or a bound was hit: `most` entries, or `most_bytes`.
    """

    def __init__(
        self,
        stream: str,
        part: Range,
        *,
        order: Order = "oldest",
        most: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._stream = stream
        self._part = part
        self._order = order
        self._most = most
        self._most_bytes = most_bytes
        self._asked = 0
        self._bytes = 0
        self.entries = 0
        self.exhausted = part.empty

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read."""
        return self.exhausted or self.entries >= self._most or self._bytes >= self._most_bytes

    def command(self) -> Command:
        """Return the command that reads the next chunk."""
        self._asked = min(self._chunk(), self._most - self.entries)
        first, last = str(self._part.first), str(self._part.last)
        if self._order == "newest":
            return stream_commands.xrevrange(self._stream, last, first, self._asked)
        return stream_commands.xrange(self._stream, first, last, self._asked)

    def take(self, entries: list[Entry]) -> list[Entry]:
        """Count the chunk that came, and return it."""
        self.entries += len(entries)
        self._bytes += sum(len(part) for entry in entries for part in entry.parts)
        if len(entries) < self._asked:
            self.exhausted = True
        else:
            self._move_behind(entries[-1])
        return entries

    def _chunk(self) -> int:
        if not self.entries:
            return FIRST_CHUNK
        return max(1, min(LONGEST_CHUNK, _CHUNK_BYTES * self.entries // max(self._bytes, 1)))

    def _move_behind(self, entry: Entry) -> None:
        id_ = parse(entry.id)
        if self._order == "newest":
            self._part = Range(first=self._part.first, last=preceding(id_))
        else:
            self._part = Range(first=following(id_), last=self._part.last)
        # At either end of all ids there is no further one.
        self.exhausted = self._part.empty or (id_ in (self._part.first, self._part.last))
