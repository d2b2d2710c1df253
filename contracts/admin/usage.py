"""Who uses a contract. Event types live in an app above this one, which says so through `tell`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
Teller = Callable[[Contract, Mapping[str, Any] | None], Iterable[Use]]
_tellers: list[Teller] = []


def tell(teller: Teller) -> None:
    """Let an app tell who uses contracts there."""
    _tellers.append(teller)


def of(contract: Contract, schema: Mapping[str, Any] | None) -> list[Use]:
    """Return the users of a contract; their examples are checked against `schema`."""
    return [use for teller in _tellers for use in teller(contract, schema)]
