"""How much of the memory the bodies of requests may take, all together."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.problems import Problem

MOST_BYTES = 256 * 1024 * 1024
# Smaller ones are not counted: as many as there are connections fit beside the rest.
SMALL = 64 * 1024


class TooMuchAtOnce(Problem):
    """The bodies that are being read and answered fill what there is for them."""

    status = 503
    slug = "busy"
    title = "Too much is being answered already"

    def __init__(self) -> None:
        super().__init__("Too many large requests are being answered.", headers={"Retry-After": "1"})


class Room:
    """How much of the memory for bodies is taken."""

    def __init__(self) -> None:
        self.taken = 0

    def open(self) -> "Share":
        """Give a request its share, which it gives back."""
        return Share(self)

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Give a request its share, for as long as the block lasts."""
        share = self.open()
        try:
            yield share
        finally:
            share.give_back()


class Share:
    """What one request has taken of it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> None:
        """Take as much as the body is large by now.

        Raises:
            TooMuchAtOnce: when there is no room.
        """
        if size <= SMALL:
            return
        self._room.taken += size - self.size
        self.size = size
        if self._room.taken > MOST_BYTES:
            raise TooMuchAtOnce

    def give_back(self) -> None:
        """Leave the room to others."""
        self._room.taken -= self.size
        self.size = 0
