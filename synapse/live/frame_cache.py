"""A cache of the frames rendered last. When a server comes back, all its watchers reconnect at once and read the same
entries.
"""

from collections.abc import Callable

from synapse.catalog.stream_definitions import Snapshot
from synapse.live.sse import Frame
from synapse.redis.commands.streams import Entry

MOST_BYTES = 8 * 1024 * 1024
# Larger entries are rendered for each watcher.
LARGEST_BYTES = 32 * 1024


class FrameCache:
    """Renders entries, each once while its frame is cached. With another catalog, or other content of an
    entry, the entry is rendered again.
    """

    def __init__(self, render: Callable[[str, Entry, Snapshot], Frame]) -> None:
        self._render = render
        self._catalog: Snapshot | None = None
        # By stream and id, oldest first: the entry, its frame, and the size of both in bytes.
        self._kept: dict[tuple[str, str], tuple[Entry, Frame, int]] = {}
        self.bytes = 0

    def frame_of(self, stream: str, entry: Entry, catalog: Snapshot) -> Frame:
        """Return the frame of an entry of a stream, from the cache if possible."""
        if catalog is not self._catalog:
            self._catalog = catalog
            self._kept.clear()
            self.bytes = 0
        key = (stream, entry.id)
        kept = self._kept.get(key)
        # A stream that was deleted and created again may have other entries with the same ids.
        if kept is not None and kept[0].parts == entry.parts:
            return kept[1]
        frame = self._render(stream, entry, catalog)
        self._keep(key, entry, frame)
        return frame

    def _keep(self, key: tuple[str, str], entry: Entry, frame: Frame) -> None:
        size = sum(map(len, entry.parts)) + len(frame.body) + len(frame.masked)
        if size > LARGEST_BYTES:
            return
        self._drop(key)
        self._kept[key] = (entry, frame, size)
        self.bytes += size
        while self.bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, str]) -> None:
        _, _, size = self._kept.pop(key, (None, None, 0))
        self.bytes -= size
