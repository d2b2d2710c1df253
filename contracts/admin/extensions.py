"""What apps above add to a contract's page: the users of the contract, and further actions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from contracts.models import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One user of a contract: its name, its page, and what the contract's schema does there, in a sentence.

    `complaints` say what is wrong with its example under the schema that was asked about.
    """

    name: str
    url: str
    effect: str
    complaints: Sequence[str] = ()


# Given a contract and a schema's document (None: none is checked), it gives the users.
UseTeller = Callable[[Contract, Mapping[str, Any] | None], Iterable[Use]]
_use_tellers: list[UseTeller] = []


def register_uses(teller: UseTeller) -> None:
    """Let an app tell who uses contracts there."""
    _use_tellers.append(teller)


def uses_of(contract: Contract, schema: Mapping[str, Any] | None) -> list[Use]:
    """Return the users of a contract; their examples are checked against `schema`."""
    return [use for teller in _use_tellers for use in teller(contract, schema)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A page that does something with a contract."""

    title: str
    url: str


OfferTeller = Callable[[HttpRequest, Contract], Iterable[Offer]]
_offer_tellers: list[OfferTeller] = []


def register_offers(teller: OfferTeller) -> None:
    """Let an app offer pages to the person who asks."""
    _offer_tellers.append(teller)


def offers_of(request: HttpRequest, contract: Contract) -> list[Offer]:
    """Return what is offered."""
    return [offer for teller in _offer_tellers for offer in teller(request, contract)]
