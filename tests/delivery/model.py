"""The places of a group's events, as docs/consuming.md promises them, written down a second time and without Redis."""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Waiting:
    """An event scheduled for retry or leased: its attempts so far, its consumer (a token, "" for none, None for a
    silent one), whether it is due."""

    attempts: int
    token: str | None = ""
    due: bool = True


@dataclass
class Model:
    """Where each event is. A lock is the event whose turn it is, by key; `behind` it the others lie in their order, be
    they parked or given out with it.

    `instances`: how many times an event was given to the group: once, and again when it was moved back behind an event
    that it was through with.
    """

    keys: dict[str, str | None] = field(default_factory=dict)
    unread: deque[str] = field(default_factory=deque)
    pending: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    parked: dict[str, Waiting] = field(default_factory=dict)
    behind: dict[str, deque[str]] = field(default_factory=dict)
    locks: dict[str, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    done: int = 0
    lost: int = 0
    discarded: int = 0
    skipped: int = 0
    # How each event that is in no place any more came out of its last one.
    ends: dict[str, str] = field(default_factory=dict)
    instances: int = 0

    def end(self, id_: str) -> None:
        """An event is over: of its key the next one is due."""
        self.pending.pop(id_, None)
        self.waiting.pop(id_, None)
        self.parked.pop(id_, None)
        key = self.keys.get(id_)
        queue = self.behind.get(key or "", deque())
        if id_ in queue:
            queue.remove(id_)
        elif key is not None and self.locks.get(key) == id_:
            if queue:
                following = self.locks[key] = queue.popleft()
                if following in self.parked:
                    self.waiting[following] = self.parked.pop(following)
            else:
                del self.locks[key]

    def is_behind(self, id_: str) -> bool:
        """Say whether another event of its key has the turn."""
        return id_ in self.behind.get(self.keys[id_] or "", ())

    def put_back(self, id_: str, as_: Waiting) -> None:
        """Nobody has an event any more: it waits, or is parked."""
        self.pending.pop(id_, None)
        self.waiting.pop(id_, None)
        if self.is_behind(id_):
            as_.due = True
            self.parked[id_] = as_
        else:
            self.waiting[id_] = as_

    def lose(self, id_: str) -> None:
        """A pending event is gone from the stream."""
        self.lost += 1
        self.end(id_)
        self.ends[id_] = "lost"

    def bury(self, id_: str) -> None:
        """An event is a dead letter."""
        self.end(id_)
        self.dead.append(id_)

    def owed(self) -> list[str]:
        """Return the unacknowledged events: in flight, scheduled for retry, or blocked by key."""
        return [*self.pending, *self.waiting, *self.parked]

    def drop(self, ids: list[str]) -> None:
        """Remove events from the backlog, in any place. A removed event passes its key's turn to the next one left."""
        for id_ in sorted(ids, key=lambda one: self.locks.get(self.keys[one] or "") == one):
            self.end(id_)

    def beyond(self, target: str) -> deque[str]:
        """The events behind an id that the stream still has."""
        there = [id_ for id_ in self.keys if id_ not in self.deleted]
        return deque(id_ for id_ in there if order(id_) > order(target))


def order(id_: str) -> tuple[int, ...]:
    """Return what ids are sorted by."""
    return tuple(map(int, id_.split("-")))
