"""Keeping what is made once for all things of a kind, when a second one comes."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Kinds(Generic[K, T]):
    """What was made for each kind. Nothing is made for a kind of which only one ever comes.

    When there are more than `most`, all are forgotten: those that are needed come back at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[K] = set()
        self.made: dict[K, T] = {}

    def comes_again(self, kind: K) -> bool:
        """Note that one of the kind came, and say whether one did before."""
        if kind in self._seen:
            return True
        if len(self._seen) >= self._most:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def keep(self, kind: K, made: T) -> T:
        """Keep what was made for a kind, and return it."""
        if len(self.made) >= self._most:
            self.made.clear()
        self.made[kind] = made
        return made
