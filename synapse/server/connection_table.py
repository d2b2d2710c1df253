"""The open connections by caller: each caller has a share of them, and new callers are always admitted.

At a limit, the caller with the most connections loses the one that has waited longest for its client: closing a
connection between two requests is legal at any time (RFC 9112, 9.5). A connection is counted to the address that opened
it until a request has a valid key or session. Connections of a trusted proxy are counted to the proxy, because each
serves many callers.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from synapse.auth.client_ip import Proxies
from synapse.problems import Problem
from synapse.shares import AllInUse, CallerId, Shares
from synapse.shares.counter import caller_at

# The number of connections to examine for one that waits for its client; the others were used more recently.
_MOST_LOOKS = 16
# One may have to be closed for the total, one for anonymous callers, and one for the caller itself.
_MOST_RECLAIMED = 3


class Connection(Protocol):
    """The interface of a connection for the table."""

    def waits_for_client(self) -> bool:
        """Say whether the connection is busy only because of its client, which does not read a response or does not
        send the rest of a request.
        """

    def reclaim(self) -> None:
        """Close the connection to make room for another one."""


class ConnectionSlot:
    """The place of one connection in the table.

    Attributes:
        connection: The connection with this place.
        caller: The caller to whom the connection is counted.
        neighbours: All places of that caller, the least recently used first.
    """

    __slots__ = ("caller", "connection", "neighbours")
    caller: CallerId
    neighbours: "OrderedDict[ConnectionSlot, None]"

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def use(self) -> None:
        """Record that the connection was used just now."""
        self.neighbours.move_to_end(self)


class ConnectionTable:
    """The connections of a process by caller. `shares` counts them, and `proxies` are trusted."""

    def __init__(self, shares: Shares, proxies: Proxies) -> None:
        self._proxies = proxies
        self.shares = shares
        self._seats: dict[CallerId, OrderedDict[ConnectionSlot, None]] = {}
        self._anonymous, self._known = _Ranking(), _Ranking()

    def caller_behind(self, peer: str) -> CallerId:
        """Return the caller to whom a new connection from an address is counted: a trusted proxy, or the address."""
        return CallerId("proxy", peer) if self._proxies.has(peer) else caller_at(peer)

    def has_room(self, peer: str) -> bool:
        """Say whether there is a place for one more connection from an address without closing another one."""
        return self.shares.has_room(self.caller_behind(peer))

    def admit(self, connection: Connection, caller: CallerId) -> ConnectionSlot:
        """Give a new connection its place, and close other connections if that is necessary.

        Raises:
            ShareUsedUp, AllInUse: when no connection can be closed, because all are being answered.
        """
        self._take_share(caller)
        seat = ConnectionSlot(connection)
        self._add_slot(seat, caller)
        return seat

    def identify(self, seat: ConnectionSlot, caller: CallerId) -> None:
        """Count a connection to a caller that is known now.

        Raises:
            ShareUsedUp: when all connections of the caller's share are being answered.
        """
        before = seat.caller
        self.remove(seat)
        try:
            self._take_share(caller)
        except Problem:
            self.shares.take(before)
            self._add_slot(seat, before)
            raise
        self._add_slot(seat, caller)

    def remove(self, seat: ConnectionSlot) -> None:
        """Remove a closed connection."""
        del seat.neighbours[seat]
        left = len(seat.neighbours)
        self._update_ranking(seat.caller, left + 1, left)
        if not left:
            del self._seats[seat.caller]
        self.shares.give_back(seat.caller)

    def _take_share(self, caller: CallerId) -> None:
        for _ in range(_MOST_RECLAIMED):
            problem = self.shares.problem(caller)
            if problem is None or not self._reclaim_one(problem, caller):
                break
        self.shares.take(caller)

    def _add_slot(self, seat: ConnectionSlot, caller: CallerId) -> None:
        seat.caller = caller
        seat.neighbours = self._seats.setdefault(caller, OrderedDict())
        seat.neighbours[seat] = None
        self._update_ranking(caller, len(seat.neighbours) - 1, len(seat.neighbours))

    def _update_ranking(self, caller: CallerId, before: int, after: int) -> None:
        (self._anonymous if caller.is_anonymous else self._known).change(caller, before, after)

    def _reclaim_one(self, problem: Problem, caller: CallerId) -> bool:
        """Close a connection to make room for a new one. Return whether there was one to close."""
        for holder in self._holders(problem, caller):
            seat = self._longest_waiting(holder)
            if seat is not None:
                self.remove(seat)
                self.shares.reclaimed += 1
                seat.connection.reclaim()
                return True
        return False

    def _holders(self, problem: Problem, caller: CallerId) -> Iterator[CallerId]:
        """Yield the callers of whom a connection may be closed."""
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
    """Callers by the number of their connections. The one with the most is found in constant time."""

    def __init__(self) -> None:
        self.most = 0
        self._by_count: dict[int, OrderedDict[CallerId, None]] = {}

    def change(self, caller: CallerId, before: int, after: int) -> None:
        """Record that a caller has one connection more, or less."""
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
        """Yield the caller with the most connections, if there is any."""
        if self.most:
            yield next(iter(self._by_count[self.most]))
