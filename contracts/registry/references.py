"""Resolve a schema's references to versions of other contracts, and its PII marks.

Nothing outside the registry is ever asked. A mark holds until the version that has it is deleted for good: hiding the
version, or activating another one without the mark, unmasks nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from contracts.models import Contract, ContractVersion, Schema, SchemaReference
from contracts.registry.content import Content, Reference
from contracts.registry.lookup import numbered
from synapse import sandbox
from synapse.errors.contracts import BadSchema, UnresolvedReference
from synapse.schema import validator
from synapse.schema.pii import MARK, Marks
from synapse.schema.validator import CompiledSchema

# A schema is at most so large together with all that it refers to, directly or not.
MAX_REFERENCES = 64

Documents = Mapping[str, Mapping[str, Any]]


def documents(references: Iterable[Reference | Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the schemas that references lead to, directly or through others, by the names that they are called.

    Raises:
        UnresolvedReference: when one is not in the registry, or is deleted.
        BadSchema: when one name means two schemas, or there are too many.
    """
    return {name: validator.load_schema(found.text) for name, found in _reached(references).items()}


def compiled(schema: Schema) -> CompiledSchema:
    """Return a kept schema, ready to check events. Without references, no query is made.

    Raises:
        BadSchema: when it cannot be used any more.
    """
    return validator.compile_schema(validator.load_schema(schema.text), documents_of(schema), is_registered=True)


def documents_of(schema: Schema) -> Documents:
    """Return the schemas that a kept schema refers to, be they deleted meanwhile."""
    return {
        name: validator.load_schema(found.text) for name, found in _reached(schema.references, deleted=True).items()
    }


def check(content: Content) -> None:
    """Do nothing when the content's schema can be a contract's.

    Raises:
        UnresolvedReference: when it refers to something that is not there.
        BadSchema: when it cannot be a contract's schema.
        SandboxBusy: when too many requests use the sandbox.
    """
    sandbox.check_schema(content.document, documents(content.references))


def link(schema: Schema, references: Iterable[Reference]) -> None:
    """Note to which versions a schema refers, so that they are not deleted."""
    for reference in references:
        SchemaReference.objects.get_or_create(
            schema=schema, name=reference.name, defaults={"version": _version(reference, deleted=False)}
        )


def referring(version: ContractVersion, *, deleted: bool) -> QuerySet[Schema]:
    """Return the schemas that refer to a version and are a version of some contract themselves."""
    found = Schema.objects.filter(referring__version=version)
    in_use = ContractVersion.objects.filter(schema=OuterRef("pk"))
    return found.filter(Exists(in_use if deleted else in_use.filter(deleted_at=None))).order_by("pk").distinct()


def _reached(references: Iterable[Reference | Mapping[str, Any]], *, deleted: bool = False) -> dict[str, Schema]:
    reached: dict[str, Schema] = {}
    waiting = [_reference(each) for each in references]
    while waiting:
        reference = waiting.pop()
        target = _schema(_version(reference, deleted=deleted))
        known = reached.setdefault(reference.name, target)
        if known.pk != target.pk:
            raise BadSchema(f"The reference “{reference.name}” means two schemas, {known.pk} and {target.pk}.")
        if known is target:
            waiting += [_reference(each) for each in target.references]
        if len(reached) > MAX_REFERENCES:
            raise BadSchema(f"The schema refers to more than {MAX_REFERENCES} others, counting those they refer to.")
    return reached


def _schema(version: ContractVersion) -> Schema:
    if version.schema is None:
        raise ValueError(f"{version} is a draft")
    return version.schema


def _reference(found: Reference | Mapping[str, Any]) -> Reference:
    return found if isinstance(found, Reference) else Reference(**found)


def _version(reference: Reference, *, deleted: bool) -> ContractVersion:
    versions = ContractVersion.objects.filter(contract__subject=reference.subject, number=reference.version)
    found = (versions if deleted else versions.filter(deleted_at=None)).select_related("schema").first()
    if found is None:
        raise UnresolvedReference(
            f"The reference “{reference.name}” is to version {reference.version} of “{reference.subject}”, "
            "which is not there."
        )
    return found


def marks(of: Schema) -> Marks | None:
    """Return what a schema marks, with all that it refers to; None when nothing.

    If a schema cannot be used any more, its marks are unknown, so everything counts as marked.
    """
    try:
        return compiled(of).personal
    except BadSchema:
        return validator.compile_schema({MARK: True}).personal


def has_marks(of: Contract) -> bool:
    """Say whether any version of a contract marks something, hidden versions too."""
    return any(version.schema and marks(version.schema) for version in numbered(of, deleted=True))
