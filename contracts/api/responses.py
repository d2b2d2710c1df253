"""Versions and schemas as answers show them."""

from typing import Any

from contracts.api.content import JSON
from contracts.models import ContractVersion, Schema


def schema(found: Schema) -> dict[str, Any]:
    """Return a schema as `GET /schemas/ids/{id}` shows it."""
    shown: dict[str, Any] = {"schema": found.text, "schemaType": JSON, "guid": str(found.guid)}
    if found.references:
        shown["references"] = found.references
    if found.metadata is not None:
        shown["metadata"] = found.metadata
    if found.rule_set is not None:
        shown["ruleSet"] = found.rule_set
    return shown


def version(found: ContractVersion) -> dict[str, Any]:
    """Return a version as `GET /subjects/{subject}/versions/{version}` shows it."""
    shown: dict[str, Any] = {"subject": found.contract.subject, "version": found.number, "id": found.schema_id}
    if found.schema is not None:
        shown |= schema(found.schema)
    if found.activated_at is not None:
        shown["ts"] = int(found.activated_at.timestamp() * 1000)
    if found.deleted_at is not None:
        shown["deleted"] = True
    return shown


def registered(found: ContractVersion) -> dict[str, Any]:
    """Return a version as registering answers it."""
    shown = version(found)
    del shown["subject"]
    return shown
