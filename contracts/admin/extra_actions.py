"""What else can be done with a contract. Apps above this one have pages for it, which they offer through `tell`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.http import HttpRequest

from contracts.models import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A page that does something with a contract."""

    title: str
    url: str


Teller = Callable[[HttpRequest, Contract], Iterable[Offer]]
_tellers: list[Teller] = []


def tell(teller: Teller) -> None:
    """Let an app offer pages to the person who asks."""
    _tellers.append(teller)


def of(request: HttpRequest, contract: Contract) -> list[Offer]:
    """Return what is offered."""
    return [offer for teller in _tellers for offer in teller(request, contract)]
