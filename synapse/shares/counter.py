"""Counting each caller's use of a resource, refusing more than a share, and finding the caller to whom a use is
counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Literal, NamedTuple

from synapse.auth.client_ip import one_caller
from synapse.auth.principal import Principal
from synapse.problems import Problem
from synapse.shares.resources import Percents, Resource


class CallerId(NamedTuple):
    """One caller: a service with all its keys, a person with all their sessions, a trusted proxy, or an address.

    An address is an anonymous caller, without a valid key or session.
    """

    kind: Literal["service", "person", "proxy", "address"]
    name: str

    @property
    def is_anonymous(self) -> bool:
        """Whether only the address of the caller is known."""
        return self.kind == "address"

    def __str__(self) -> str:
        return f"{self.kind} “{self.name}”"


def caller_of(principal: Principal) -> CallerId:
    """Return the caller to whom a principal's use is counted."""
    match principal.kind:
        case "service" | "person":
            return CallerId(principal.kind, principal.name)
    return caller_at(principal.address)


def caller_at(address: str) -> CallerId:
    """Return the anonymous caller at an address. All addresses of an IPv6 network (/64) are one caller."""
    return CallerId("address", one_caller(address))


# With open access, every caller is anonymous: an address then has at least this share of the whole, in percent.
_OPEN_ADDRESS = 50


class ShareUsedUp(Problem, status=429, slug="share-used-up", title="The caller's share is used up"):
    """The caller holds as much of a resource as one caller may (RFC 6585, 4)."""

    def __init__(self, caller: CallerId, resource: Resource, most: int) -> None:
        super().__init__(
            f"The {caller} may have {_amount(resource, most)} at a time, and has them. Give some back, or ask again in "
            f"{resource.retry_after} s.",
            headers={"Retry-After": str(resource.retry_after)},
            resource=resource.name,
        )


class AllInUse(Problem, status=503, slug="busy", title="Too many requests are being answered already"):
    """All of a resource is in use, or all that anonymous callers may have of it (`is_of_anonymous`)."""

    def __init__(self, detail: str, *, retry_after: int = 1, anonymous: bool = False, **members: str) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **members)
        self.is_of_anonymous = anonymous


class Limits(NamedTuple):
    """The amount of a resource, and the parts that an identified caller, one address, and all anonymous callers
    together may have.
    """

    total: int
    per_caller: int
    per_address: int
    anonymous: int

    def of(self, caller: CallerId) -> int:
        """Return a caller's share. A trusted proxy has one share for all its callers."""
        if caller.kind == "proxy":
            return self.total
        return self.per_address if caller.is_anonymous else self.per_caller


class RequestedShare(NamedTuple):
    """The amounts that a caller, all callers, and all anonymous callers would hold."""

    held: int
    used: int
    anonymous: int


def limits(total: int, percents: Percents, *, is_open: bool) -> Limits:
    """Return the limits for a total amount. Each caller may have at least one.

    With `is_open`, access is open, and anonymous callers are normal.
    """
    per_caller = _part(total, percents.caller)
    if is_open:
        per_address = max(per_caller, _part(total, _OPEN_ADDRESS))
        return Limits(total, per_caller, per_address, total)
    anonymous = _part(total, percents.anonymous)
    # One address must not keep all others from logging in.
    return Limits(total, per_caller, min(per_caller, _part(anonymous, 50)), anonymous)


class Shares:
    """Counts what callers hold of one resource. Taking and giving back take constant time, from any thread.

    Attributes:
        used: The amount that all callers hold together.
        anonymous: The part of it that anonymous callers hold.
        refused: The number of refused requests.
        reclaimed: The number of times that an amount was taken from a caller for another one.
    """

    def __init__(self, resource: Resource, limits: Limits) -> None:
        self.resource = resource
        self.limits = limits
        self.used = self.anonymous = 0
        self.refused = self.reclaimed = 0
        self._held: dict[CallerId, int] = {}
        self._lock = Lock()

    def held_by(self, caller: CallerId) -> int:
        """Return the amount that a caller holds."""
        return self._held.get(caller, 0)

    @property
    def largest(self) -> int:
        """The largest amount that a single caller holds. Takes time proportional to the number of callers."""
        with self._lock:
            return max(self._held.values(), default=0)

    def problem(self, caller: CallerId, amount: int = 1) -> Problem | None:
        """Return the reason why a caller cannot have `amount` more now, None when it can."""
        wanted = RequestedShare(self.held_by(caller) + amount, self.used + amount, self.anonymous + amount)
        return problem_of(self.resource, self.limits, caller, wanted)

    def has_room(self, caller: CallerId) -> bool:
        """Say whether a caller can have one more now."""
        return self.problem(caller) is None

    def check(self, caller: CallerId, wanted: RequestedShare) -> None:
        """Check a caller's share of a resource that is counted elsewhere, in the database.

        Raises:
            ShareUsedUp, AllInUse: as `take` does.
        """
        problem = problem_of(self.resource, self.limits, caller, wanted)
        if problem is not None:
            with self._lock:
                self.refused += 1
            raise problem

    def take(self, caller: CallerId, amount: int = 1) -> None:
        """Count `amount` more for a caller.

        Raises:
            ShareUsedUp: when the caller would hold more than its share.
            AllInUse: when all callers, or all anonymous ones, would hold more than their limit.
        """
        with self._lock:
            problem = self.problem(caller, amount)
            if problem is not None:
                self.refused += 1
                raise problem
            self._add(caller, amount)

    def give_back(self, caller: CallerId, amount: int = 1) -> None:
        """Count `amount` less for a caller."""
        with self._lock:
            self._add(caller, -amount)

    @contextmanager
    def holding(self, caller: CallerId, amount: int = 1) -> Iterator[None]:
        """Take `amount` until the block ends.

        Raises:
            ShareUsedUp, AllInUse: as `take` does.
        """
        self.take(caller, amount)
        try:
            yield
        finally:
            self.give_back(caller, amount)

    def _add(self, caller: CallerId, amount: int) -> None:
        self.used += amount
        if caller.is_anonymous:
            self.anonymous += amount
        left = self.held_by(caller) + amount
        if left > 0:
            self._held[caller] = left
        else:
            # A caller without any use is not stored, because an attacker may have any number of addresses.
            self._held.pop(caller, None)


def problem_of(resource: Resource, limits: Limits, caller: CallerId, wanted: RequestedShare) -> Problem | None:
    """Return the reason why a caller's share does not allow the requested use of a resource, None when it does."""
    if wanted.used > limits.total:
        return _all_in_use(resource, limits.total, anonymous=False)
    if wanted.held > (most := limits.of(caller)):
        return ShareUsedUp(caller, resource, most)
    if caller.is_anonymous and wanted.anonymous > limits.anonymous:
        return _all_in_use(resource, limits.anonymous, anonymous=True)
    return None


def _all_in_use(resource: Resource, most: int, *, anonymous: bool) -> AllInUse:
    whose = "that callers without a good key or session may have together" if anonymous else "that there are"
    way_out = "Show a key, or ask" if anonymous else "Ask"
    detail = f"All {_amount(resource, most)} {whose} are in use. {way_out} again in {resource.retry_after} s."
    return AllInUse(detail, retry_after=resource.retry_after, anonymous=anonymous, resource=resource.name)


def _part(whole: int, percent: int) -> int:
    return max(1, whole * percent // 100)


def _amount(resource: Resource, units: int) -> str:
    number = f"{units // resource.unit} MiB" if resource.unit > 1 and units >= resource.unit else str(units)
    return f"{number} of {resource.things}" if resource.unit > 1 else f"{number} {resource.things}"
