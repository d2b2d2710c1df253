"""Find contracts and versions, and refuse to remove those that are in use.

Definitions that use contracts belong to other apps, which register a function that names them.
"""

from collections.abc import Callable, Iterable

from django.db.models import Case, IntegerField, QuerySet, Value, When

from contracts.models import Contract, ContractVersion, RemovedContract
from contracts.registry.content import Content
from synapse.errors.contracts import InUse, UnknownContract, UnknownVersion

State = ContractVersion.State


def contract(subject: str) -> Contract:
    """Return the contract with this subject.

    Raises:
        UnknownContract: when there is none.
    """
    found = Contract.objects.filter(subject=subject).first()
    if found is None:
        raise UnknownContract(f"No contract has the subject “{subject}”.")
    return found


def highest_removed(subjects: Iterable[str]) -> dict[str, int]:
    """Return the highest version numbers of deleted contracts with these subjects, by subject."""
    found = RemovedContract.objects.in_bulk(list(subjects), field_name="subject")
    return {subject: removed.highest for subject, removed in found.items()}


def numbered_versions(of: Contract, *, deleted: bool = False) -> QuerySet[ContractVersion]:
    """Return the numbered versions, oldest first; with `deleted`, deleted ones too."""
    found = of.versions.filter(number__isnull=False).select_related("schema").order_by("number")
    return found if deleted else found.filter(deleted_at=None)


def active_version(of: Contract) -> ContractVersion | None:
    """Return the version that events are checked against: the highest active one."""
    return numbered_versions(of).filter(state=State.ACTIVE).last()


def latest_version(of: Contract) -> ContractVersion | None:
    """Return the predecessor of the next version: the active one, otherwise the one with the highest number."""
    is_active = Case(When(state=State.ACTIVE, then=Value(1)), default=Value(0), output_field=IntegerField())
    return numbered_versions(of).order_by(is_active, "number").last()


def version(of: Contract, number: int) -> ContractVersion:
    """Return one numbered version, deleted or not.

    Raises:
        UnknownVersion: when the contract has none with this number.
    """
    found = numbered_versions(of, deleted=True).filter(number=number).first()
    if found is None:
        raise UnknownVersion(f"The contract “{of.subject}” has no version {number}.")
    return found


def reload_version(version: ContractVersion) -> None:
    """Reload a version and its contract after waiting for a lock, since they may have changed.

    Raises:
        UnknownVersion: when it was deleted in the meantime.
    """
    try:
        version.refresh_from_db()
    except ContractVersion.DoesNotExist:
        raise UnknownVersion(f"There is no {version} any more.") from None


def find_equivalent(of: Contract, content: Content, *, deleted: bool = False) -> ContractVersion | None:
    """Return the newest version equivalent to the content, regardless of layout.

    Metadata and rules are compared only if the content has some.
    """
    same = numbered_versions(of, deleted=deleted).filter(schema__meaning=content.meaning)
    if content.has_more:
        # Compared in Python, because databases differ in how they compare JSON.
        alike = [each for each in same if each.schema is not None and content.has_more_like(each.schema)]
        return alike[-1] if alike else None
    return same.last()


UserNames = Callable[[Contract], Iterable[str]]
_users: list[UserNames] = []
_MOST_NAMED = 5


def register_users(names: UserNames) -> None:
    """Register a function that names the definitions of an app that use a contract, such as `the event type
    “orders/order-placed”`.
    """
    _users.append(names)


def refuse_if_used(of: Contract, consequence: str) -> None:
    """Raise if a definition uses the contract.

    Raises:
        InUse: when one does. `consequence` is a clause for the message on what would happen to it.
    """
    names = [name for users in _users for name in users(of)]
    if names:
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        raise InUse(
            f"The contract “{of.subject}” is used by {', '.join(names[:_MOST_NAMED])}{more}: {consequence}. "
            "Take the contract from them first, in the admin or in a catalog file."
        )
