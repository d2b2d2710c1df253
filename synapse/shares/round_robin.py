"""A queue in which callers take turns, whatever each of them has waiting."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Caller = TypeVar("Caller", bound=Hashable)
Item = TypeVar("Item")


class RoundRobinQueue(Generic[Caller, Item]):
    """Items by caller: the first item of each caller, then the second of each, and so on."""

    def __init__(self) -> None:
        # The caller whose turn is next stands first; nobody stands here with nothing.
        self._items: OrderedDict[Caller, deque[Item]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Caller]:
        """Give the callers who have something waiting, in the order of their turns."""
        return iter(self._items)

    def add(self, caller: Caller, item: Item) -> None:
        """Put an item behind the caller's others."""
        self._items.setdefault(caller, deque()).append(item)
        self._length += 1

    def first(self, caller: Caller) -> Item:
        """Return the item of a caller that would be taken next."""
        return self._items[caller][0]

    def take(self, caller: Caller) -> Item:
        """Return and remove a caller's first item; the caller's next turn comes after those of all others."""
        items = self._items[caller]
        item = items.popleft()
        self._length -= 1
        if items:
            self._items.move_to_end(caller)
        else:
            del self._items[caller]
        return item

    def take_next(self, may_have: Callable[[Caller], bool]) -> tuple[Caller, Item] | None:
        """Return and remove the first item of the first caller that may have a turn now, with the caller."""
        for caller in self._items:
            if may_have(caller):
                return caller, self.take(caller)
        return None

    def postpone(self, caller: Caller) -> None:
        """Let all others have their turns before this caller."""
        self._items.move_to_end(caller)

    def remove(self, caller: Caller, item: Item) -> None:
        """Remove an item wherever it stands, if it is there; the caller keeps its turn."""
        items = self._items.get(caller)
        if items is None or item not in items:
            return
        items.remove(item)
        self._length -= 1
        if not items:
            del self._items[caller]
