"""A cache of the chunks that were sent last. Most watchers of the same streams get the same items at the same position,
so a chunk is encoded once for all of them.
"""

from collections.abc import Callable, Hashable, Sequence

# The number of cached chunks, and the size in bytes beyond which a chunk is encoded for each watcher.
MOST, LARGEST_BYTES = 64, 64 * 1024


class ChunkCache:
    """Encodes items, each sequence once while its chunk is cached. The oldest chunks are dropped."""

    def __init__(self) -> None:
        # The items are kept with their chunk, so that no other object gets the identity of one of them.
        self._kept: dict[Hashable, tuple[bytes, tuple[object, ...]]] = {}

    def chunk_of(self, form: Hashable, items: Sequence[object], encode: Callable[[], bytes]) -> bytes:
        """Return the chunk with the items, from the cache if possible.

        Args:
            form: everything besides the items that the chunk depends on.
            encode: encodes the items.
        """
        # Comparing frames by value would take longer than encoding them.
        key = (form, *map(id, items))
        if (kept := self._kept.get(key)) is not None:
            return kept[0]
        chunk = encode()
        if len(chunk) <= LARGEST_BYTES:
            self._kept[key] = chunk, tuple(items)
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        return chunk


# That of this process.
chunks = ChunkCache()
