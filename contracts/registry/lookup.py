"""Find contracts and versions, and refuse to remove those that are in use.

Definitions that use contracts live in apps above this one, which register a function that names them.
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


def numbered(of: Contract, *, deleted: bool = False) -> QuerySet[ContractVersion]:
    """Return the numbered versions, oldest first; the deleted ones only when asked for."""
    found = of.versions.filter(number__isnull=False).select_related("schema").order_by("number")
    return found if deleted else found.filter(deleted_at=None)


def active_version(of: Contract) -> ContractVersion | None:
    """Return the version that events are checked against: the highest active one."""
    return numbered(of).filter(state=State.ACTIVE).last()


def latest_version(of: Contract) -> ContractVersion | None:
    """Return the predecessor of the next version: the active one, else the one with the highest number."""
    is_active = Case(When(state=State.ACTIVE, then=Value(1)), default=Value(0), output_field=IntegerField())
    return numbered(of).order_by(is_active, "number").last()


def version(of: Contract, number: int) -> ContractVersion:
    """Return one numbered version, deleted or not.

    Raises:
        UnknownVersion: when the contract has none with this number.
    """
    found = numbered(of, deleted=True).filter(number=number).first()
    if found is None:
        raise UnknownVersion(f"The contract “{of.subject}” has no version {number}.")
    return found


def reread(version: ContractVersion) -> None:
    """Read a version and its contract again after waiting for a lock: others may have changed them.

    Raises:
        UnknownVersion: when it was deleted in the meantime.
    """
    try:
        version.refresh_from_db()
    except ContractVersion.DoesNotExist:
        raise UnknownVersion(f"There is no {version} any more.") from None


def find(of: Contract, content: Content, *, deleted: bool = False) -> ContractVersion | None:
    """Return the newest version equivalent to the content, regardless of layout.

    Metadata and rules count only when the content has some.
    """
    same = numbered(of, deleted=deleted).filter(schema__meaning=content.meaning)
    if content.has_more:
        # Compared here: databases differ in how they compare JSON.
        alike = [each for each in same if each.schema is not None and content.has_more_like(each.schema)]
        return alike[-1] if alike else None
    return same.last()


UserNames = Callable[[Contract], Iterable[str]]
_users: list[UserNames] = []
_MOST_NAMED = 5


def register_users(names: UserNames) -> None:
    """Register a function that names an app's definitions that use a contract, such as `the event type
    “orders/order-placed”`.
    """
    _users.append(names)


def refuse_if_used(of: Contract, consequence: str) -> None:
    """Refuse when a definition uses the contract.

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
