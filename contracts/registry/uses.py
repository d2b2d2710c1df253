"""Definitions that use contracts. They live in apps above this one, which register a function that names them."""

from collections.abc import Callable, Iterable

from contracts.models import Contract
from synapse.errors.contracts import InUse

UserNames = Callable[[Contract], Iterable[str]]
_users: list[UserNames] = []
_MOST_NAMED = 5


def register_users(names: UserNames) -> None:
    """Let an app name the definitions there that use a contract, as `the event type “orders/order-placed”`."""
    _users.append(names)


def refuse_if_used(of: Contract, consequence: str) -> None:
    """Do nothing when no definition uses a contract.

    Raises:
        InUse: when one does; `consequence` says in a clause what would become of it.
    """
    names = [name for users in _users for name in users(of)]
    if names:
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        raise InUse(
            f"The contract “{of.subject}” is used by {', '.join(names[:_MOST_NAMED])}{more}: {consequence}. "
            "Take the contract from them first, in the admin or in a catalog file."
        )
