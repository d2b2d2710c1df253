"""Extensions of a contract's page by other apps: the users of the contract, and further actions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from contracts.models import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractUse:
    """One user of a contract: its name, its page, and a sentence on the effect of the contract's schema there.

    `complaints` are the errors of its example event under the given schema.
    """

    name: str
    url: str
    effect: str
    complaints: Sequence[str] = ()


# Returns the users of a contract. Their example events are checked against the schema, unless it is None.
FindUses = Callable[[Contract, Mapping[str, Any] | None], Iterable[ContractUse]]
_use_finders: list[FindUses] = []


def register_uses(find: FindUses) -> None:
    """Register a function that yields an app's users of a contract."""
    _use_finders.append(find)


def uses_of(contract: Contract, schema: Mapping[str, Any] | None) -> list[ContractUse]:
    """Return the users of a contract, after checking their example events against `schema`."""
    return [use for find in _use_finders for use in find(contract, schema)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLink:
    """A link to a further action on a contract."""

    title: str
    url: str


FindActionLinks = Callable[[HttpRequest, Contract], Iterable[ActionLink]]
_action_link_finders: list[FindActionLinks] = []


def register_action_links(find: FindActionLinks) -> None:
    """Register a function that yields an app's further actions for a person."""
    _action_link_finders.append(find)


def action_links_of(request: HttpRequest, contract: Contract) -> list[ActionLink]:
    """Return the further actions on a contract for the person."""
    return [offer for find in _action_link_finders for offer in find(request, contract)]
