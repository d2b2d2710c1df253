"""Where in its stream a read loop stands, and whether it is still the stream that it knew. Pure."""

from collections import deque
from collections.abc import Iterable

from synapse.wire.ids import FIRST, EntryId

# A primary that takes over may lack the newest entries; this many are known again.
_REMEMBERED = 1000


class Place:
    """`at` is the last id that was read, None before the first look. After a silence or a failure the loop is not
    `sure` of it: the stream may have been deleted and made anew, with ids that begin again."""

    def __init__(self) -> None:
        self.at: EntryId | None = None
        self.sure = False
        self._recent: deque[EntryId] = deque(maxlen=_REMEMBERED)

    def found(self, last: EntryId) -> bool:
        """Take up the stream's last id, 0-0 when there is no stream. Return True when it is another stream than
        before: everything in it is new."""
        self.sure = True
        if self.at is None:
            self._begin(last)
        elif last < self.at:
            if last in self._recent:
                # The same stream without its end, as after a failover: what comes next is what is new.
                self.at = last
            else:
                self._begin(FIRST)
                return True
        return False

    def passed(self, ids: Iterable[EntryId]) -> None:
        """Move on: these entries were read."""
        self._recent.extend(ids)
        self.at = self._recent[-1]

    def _begin(self, at: EntryId) -> None:
        self._recent.clear()
        self._recent.append(at)
        self.at = at
