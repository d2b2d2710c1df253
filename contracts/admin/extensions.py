"""Extensions of a contract's page by the apps above: the users of the contract, and further actions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from contracts.models import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractUse:
    """One user of a contract: its name, its page, and a sentence on the effect of the contract's schema there.

    `complaints` say what is wrong with its example under the schema that was asked about.
    """

    name: str
    url: str
    effect: str
    complaints: Sequence[str] = ()


# Given a contract and a schema's document (None: none is checked), it gives the users.
UseTeller = Callable[[Contract, Mapping[str, Any] | None], Iterable[ContractUse]]
_use_tellers: list[UseTeller] = []


def register_uses(teller: UseTeller) -> None:
    """Register a function that yields an app's users of a contract."""
    _use_tellers.append(teller)


def uses_of(contract: Contract, schema: Mapping[str, Any] | None) -> list[ContractUse]:
    """Return the users of a contract; their examples are checked against `schema`."""
    return [use for teller in _use_tellers for use in teller(contract, schema)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLink:
    """A link to a further action on a contract."""

    title: str
    url: str


OfferTeller = Callable[[HttpRequest, Contract], Iterable[ActionLink]]
_offer_tellers: list[OfferTeller] = []


def register_offers(teller: OfferTeller) -> None:
    """Register a function that yields an app's further actions for a person."""
    _offer_tellers.append(teller)


def offers_of(request: HttpRequest, contract: Contract) -> list[ActionLink]:
    """Return the further actions on a contract for the person."""
    return [offer for teller in _offer_tellers for offer in teller(request, contract)]
