"""Making many new contracts in few statements: a catalog file may bring thousands."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry.content import Content, kept_all
from contracts.registry.lookup import highest_removed
from contracts.registry.settings import of_all, refuse_unless_writable
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.compatibility import Mode, obstacle
from synapse.errors.contracts import BadSchema


@transaction.atomic
def create_contracts(new: Iterable[tuple[Contract, Content | None]], *, by: Principal) -> None:
    """Save new contracts, each with a first version where it has a content, without references, that was checked.

    Raises:
        BadSchema: when no later version could be compared with a schema.
        ReadOnly: when contracts may not be changed.
    """
    catalog_version.bump()
    pairs = list(new)
    everywhere = of_all()
    removed = highest_removed(contract.subject for contract, _ in pairs)
    for contract, content in pairs:
        if content is None:
            continue
        refuse_unless_writable(None, contract.subject, everywhere)
        if (contract.compatibility or everywhere.compatibility) != Mode.NONE:
            reason = obstacle(content.document, {})
            if reason is not None:
                raise BadSchema(
                    f"No later version could be compared with the schema of “{contract.subject}”, because {reason}."
                )
        contract.highest = removed.get(contract.subject, 0) + 1
    Contract.objects.bulk_create([contract for contract, _ in pairs])
    audit.record_all(by, "create", [(contract, None, audit.describe(contract)) for contract, _ in pairs])
    schemas = kept_all(content for _, content in pairs if content is not None)
    now = timezone.now()
    versions = ContractVersion.objects.bulk_create(
        ContractVersion(
            contract=contract,
            number=contract.highest,
            state=ContractVersion.State.ACTIVE,
            schema=schemas[content.digest],
            author=str(by),
            activated_at=now,
            activated_by=str(by),
        )
        for contract, content in pairs
        if content is not None
    )
    audit.record_all(
        by,
        "activate",
        [(version.contract, None, {"version": version.number, "schema": version.schema_id}) for version in versions],
    )
