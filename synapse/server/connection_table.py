"""The open connections by caller: each caller has a share of them, and new callers always get in.

At a limit the connection is closed that has waited longest for its client, of the caller that has the most: closing a
connection between two requests is legal at any time (RFC 9112, 9.5). A connection is counted to the address that opened
it until a request shows a good key or session; those of a trusted proxy are its own, for each serves many callers.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from synapse.auth.client_ip import Proxies
from synapse.problems import Problem
from synapse.shares import AllInUse, CallerId, Shares
from synapse.shares.counter import caller_at

# How many connections are looked at to find one that waits for its client: the others were used later.
_MOST_LOOKS = 16
# One may have to go for the whole, one for anonymous callers, and one for the caller itself.
_MOST_RECLAIMED = 3


class Connection(Protocol):
    """A connection, as far as the table knows it."""

    def waits_for_client(self) -> bool:
        """Say whether only the client keeps the connection busy: by not taking a response, or not sending the rest of a
        request."""

    def reclaim(self) -> None:
        """Close the connection for another one."""


class ConnectionSlot:
    """The place of one connection in the table.

    Attributes:
        connection: Whose place it is.
        caller: To whom it is counted.
        neighbours: All of that caller, the one first that was used longest ago.
    """

    __slots__ = ("caller", "connection", "neighbours")
    caller: CallerId
    neighbours: "OrderedDict[ConnectionSlot, None]"

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def use(self) -> None:
        """Note that the connection was used just now."""
        self.neighbours.move_to_end(self)


class ConnectionTable:
    """The connections of a process, by caller; `shares` counts them, `proxies` are trusted."""

    def __init__(self, shares: Shares, proxies: Proxies) -> None:
        self._proxies = proxies
        self.shares = shares
        self._seats: dict[CallerId, OrderedDict[ConnectionSlot, None]] = {}
        self._anonymous, self._known = _Ranking(), _Ranking()

    def caller_behind(self, peer: str) -> CallerId:
        """Return to whom a new connection from an address is counted: a trusted proxy is a caller of its own."""
        return CallerId("proxy", peer) if self._proxies.has(peer) else caller_at(peer)

    def has_room(self, peer: str) -> bool:
        """Say whether the table has a place for one more connection from an address without closing another."""
        return self.shares.has_room(self.caller_behind(peer))

    def admit(self, connection: Connection, caller: CallerId) -> ConnectionSlot:
        """Give a new connection its place, and close others where that takes it.

        Raises:
            ShareUsedUp, AllInUse: when there is none to close: all are being answered.
        """
        self._take(caller)
        seat = ConnectionSlot(connection)
        self._place(seat, caller)
        return seat

    def identify(self, seat: ConnectionSlot, caller: CallerId) -> None:
        """Count a connection to a caller that is known now.

        Raises:
            ShareUsedUp: when all connections of the caller's share are being answered.
        """
        before = seat.caller
        self.remove(seat)
        try:
            self._take(caller)
        except Problem:
            self.shares.take(before)
            self._place(seat, before)
            raise
        self._place(seat, caller)

    def remove(self, seat: ConnectionSlot) -> None:
        """Remove a closed connection."""
        del seat.neighbours[seat]
        left = len(seat.neighbours)
        self._rank(seat.caller, left + 1, left)
        if not left:
            del self._seats[seat.caller]
        self.shares.give_back(seat.caller)

    def _take(self, caller: CallerId) -> None:
        for _ in range(_MOST_RECLAIMED):
            problem = self.shares.problem(caller)
            if problem is None or not self._reclaim_one(problem, caller):
                break
        self.shares.take(caller)

    def _place(self, seat: ConnectionSlot, caller: CallerId) -> None:
        seat.caller = caller
        seat.neighbours = self._seats.setdefault(caller, OrderedDict())
        seat.neighbours[seat] = None
        self._rank(caller, len(seat.neighbours) - 1, len(seat.neighbours))

    def _rank(self, caller: CallerId, before: int, after: int) -> None:
        (self._anonymous if caller.is_anonymous else self._known).change(caller, before, after)

    def _reclaim_one(self, problem: Problem, caller: CallerId) -> bool:
        """Close a connection to make room for a new one; say whether there was one to close."""
        for holder in self._holders(problem, caller):
            seat = self._longest_waiting(holder)
            if seat is not None:
                self.remove(seat)
                self.shares.reclaimed += 1
                seat.connection.reclaim()
                return True
        return False

    def _holders(self, problem: Problem, caller: CallerId) -> Iterator[CallerId]:
        """Give the callers of whom a connection may go."""
        if not isinstance(problem, AllInUse):
            yield caller
            return
        rankings = [self._anonymous] if problem.is_of_anonymous else [self._anonymous, self._known]
        for ranking in sorted(rankings, key=lambda ranking: ranking.most, reverse=True):
            yield from ranking.first()

    def _longest_waiting(self, holder: CallerId) -> ConnectionSlot | None:
        seats = self._seats.get(holder, OrderedDict())
        for _ in range(min(_MOST_LOOKS, len(seats))):
            seat = next(iter(seats))
            if seat.connection.waits_for_client():
                return seat
            seat.use()
        return None


class _Ranking:
    """Callers by how many connections they have; the one with the most is found in constant time."""

    def __init__(self) -> None:
        self.most = 0
        self._by_count: dict[int, OrderedDict[CallerId, None]] = {}

    def change(self, caller: CallerId, before: int, after: int) -> None:
        """Note that a caller has one more, or one less."""
        if before:
            equals = self._by_count[before]
            del equals[caller]
            if not equals:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, OrderedDict())[caller] = None
        if after > self.most or self.most not in self._by_count:
            self.most = after

    def first(self) -> Iterator[CallerId]:
        """Give the caller with the most, if there is any."""
        if self.most:
            yield next(iter(self._by_count[self.most]))
