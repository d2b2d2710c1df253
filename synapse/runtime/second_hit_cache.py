"""A cache that admits a value when its key comes for the second time."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SecondHitCache(Generic[K, T]):
    """A cache by kind of object. A kind that comes only once is not cached.

    With more than `most` kinds the cache is emptied: kinds in use come back at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[K] = set()
        self.made: dict[K, T] = {}

    def seen_before(self, kind: K) -> bool:
        """Say whether an object of the kind came before, and record that one came now."""
        if kind in self._seen:
            return True
        if len(self._seen) >= self._most:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def keep(self, kind: K, made: T) -> T:
        """Store the value of a kind, and return it."""
        if len(self.made) >= self._most:
            self.made.clear()
        self.made[kind] = made
        return made
