"""Whether the events of a key were delivered in their order, as far as their handlers can tell."""

from bisect import bisect_left
from collections.abc import Set

from synapse.wire.ids import EntryId


class KeyOrder:
    """The attempts at the events of one key, in the order in which they happened.

    The promise: no event is begun while an earlier one is neither handled nor a dead letter. What was cut off by a kill
    may be begun again after later ones; then those are begun again too, in their order, before anything new.

    Args:
        dead: the names of the dead letters.
    """

    def __init__(self, dead: Set[str]) -> None:
        self._dead = dead
        # All that was begun, by id, and the name of each.
        self._ids: list[EntryId] = []
        self._names: list[str] = []
        # What has to be handled, or handled again, before anything later may begin.
        self._open: dict[EntryId, str] = {}
        self._handled: set[EntryId] = set()

    def begin(self, id_: EntryId, name: str) -> bool:
        """Note that an attempt begins. Return whether that breaks the order."""
        breaks = any(other < id_ and named not in self._dead for other, named in self._open.items())
        place = bisect_left(self._ids, id_)
        if place < len(self._ids) and self._ids[place] == id_:
            self._open.update(zip(self._ids[place + 1 :], self._names[place + 1 :], strict=True))
        else:
            self._ids.insert(place, id_)
            self._names.insert(place, name)
        self._open[id_] = name
        return breaks

    def end(self, id_: EntryId) -> None:
        """Note that an attempt succeeded."""
        self._open.pop(id_, None)
        self._handled.add(id_)

    def is_unfinished(self) -> bool:
        """Return whether an event was handled, had to be handled again, and was not."""
        return any(id_ in self._handled and name not in self._dead for id_, name in self._open.items())
