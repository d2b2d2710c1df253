"""To whom a share is counted."""

from typing import Literal, NamedTuple

from synapse.auth.client_ip import one_caller
from synapse.auth.principal import Principal


class CallerId(NamedTuple):
    """One caller: a service with all its keys, a person with all their sessions, a trusted proxy, or an address.

    An address is an anonymous caller: one that shows no good key and no good session.
    """

    kind: Literal["service", "person", "proxy", "address"]
    name: str

    @property
    def is_anonymous(self) -> bool:
        """Whether no more than the address is known."""
        return self.kind == "address"

    def __str__(self) -> str:
        return f"{self.kind} “{self.name}”"


def caller_of(principal: Principal) -> CallerId:
    """Return to whom is counted what a principal takes."""
    match principal.kind:
        case "service" | "person":
            return CallerId(principal.kind, principal.name)
    return caller_at(principal.address)


def caller_at(address: str) -> CallerId:
    """Return the anonymous caller at an address; the addresses of an IPv6 network (/64) are one caller."""
    return CallerId("address", one_caller(address))
