"""Resolve a schema's references to versions of other contracts, and its PII marks.

References outside the registry are never fetched. A mark applies until its version is deleted for good: hiding the
version, or activating another one without the mark, unmasks nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from contracts.models import Contract, ContractVersion, Schema, SchemaReference
from contracts.registry.content import Content, Reference
from contracts.registry.lookup import numbered_versions
from synapse import sandbox
from synapse.errors.contracts import BadSchema, UnresolvedReference
from synapse.schema import validator
from synapse.schema.pii import MARK, Marks
from synapse.schema.validator import CompiledSchema

# A schema may refer to at most this many others, directly or indirectly.
MAX_REFERENCES = 64

Documents = Mapping[str, Mapping[str, Any]]


def resolve(references: Iterable[Reference | Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parsed schemas that references lead to, directly or indirectly, by their names in `$ref`.

    Raises:
        UnresolvedReference: when a version is not in the registry, or is deleted.
        BadSchema: when a name means two schemas, or there are more than `MAX_REFERENCES`.
    """
    return {name: validator.load_schema(found.text) for name, found in _resolve_schemas(references).items()}


def compile_stored(schema: Schema) -> CompiledSchema:
    """Compile a stored schema to check events. Without references, this makes no query.

    Raises:
        BadSchema: when the current validator does not accept it.
    """
    return validator.compile_schema(validator.load_schema(schema.text), documents_of(schema), is_registered=True)


def documents_of(schema: Schema) -> Documents:
    """Return the parsed schemas that a stored schema refers to, including deleted ones."""
    schemas = _resolve_schemas(schema.references, deleted=True)
    return {name: validator.load_schema(found.text) for name, found in schemas.items()}


def check_content(content: Content) -> None:
    """Raise unless the content can be a contract's schema.

    Raises:
        UnresolvedReference: when it refers to a version that does not exist.
        BadSchema: when it cannot be a contract's schema.
        SandboxBusy: when too many requests use the sandbox.
    """
    sandbox.check_schema(content.document, resolve(content.references))


def record_references(schema: Schema, references: Iterable[Reference]) -> None:
    """Record the versions that a schema refers to, so that they cannot be deleted."""
    for reference in references:
        SchemaReference.objects.get_or_create(
            schema=schema, name=reference.name, defaults={"version": _find_version(reference, deleted=False)}
        )


def referring_schemas(version: ContractVersion, *, deleted: bool) -> QuerySet[Schema]:
    """Return the schemas that refer to a version and belong to a version of some contract themselves."""
    found = Schema.objects.filter(referring__version=version)
    in_use = ContractVersion.objects.filter(schema=OuterRef("pk"))
    return found.filter(Exists(in_use if deleted else in_use.filter(deleted_at=None))).order_by("pk").distinct()


def _resolve_schemas(
    references: Iterable[Reference | Mapping[str, Any]], *, deleted: bool = False
) -> dict[str, Schema]:
    reached: dict[str, Schema] = {}
    waiting = [_to_reference(each) for each in references]
    while waiting:
        reference = waiting.pop()
        target = _schema_of(_find_version(reference, deleted=deleted))
        known = reached.setdefault(reference.name, target)
        if known.pk != target.pk:
            raise BadSchema(f"The reference “{reference.name}” means two schemas, {known.pk} and {target.pk}.")
        if known is target:
            waiting += [_to_reference(each) for each in target.references]
        if len(reached) > MAX_REFERENCES:
            raise BadSchema(f"The schema refers to more than {MAX_REFERENCES} others, counting those they refer to.")
    return reached


def _schema_of(version: ContractVersion) -> Schema:
    if version.schema is None:
        raise ValueError(f"{version} is a draft")
    return version.schema


def _to_reference(found: Reference | Mapping[str, Any]) -> Reference:
    return found if isinstance(found, Reference) else Reference(**found)


def _find_version(reference: Reference, *, deleted: bool) -> ContractVersion:
    versions = ContractVersion.objects.filter(contract__subject=reference.subject, number=reference.version)
    found = (versions if deleted else versions.filter(deleted_at=None)).select_related("schema").first()
    if found is None:
        raise UnresolvedReference(
            f"The reference “{reference.name}” is to version {reference.version} of “{reference.subject}”, "
            "which is not there."
        )
    return found


def marks_of(of: Schema) -> Marks | None:
    """Return the PII marks of a schema and of all that it refers to; None if there are none.

    If the current validator does not accept the schema, its marks are unknown, so everything counts as marked.
    """
    try:
        return compile_stored(of).personal
    except BadSchema:
        return validator.compile_schema({MARK: True}).personal


def has_marks(of: Contract) -> bool:
    """Say whether any version of a contract, hidden ones included, has PII marks."""
    return any(version.schema and marks_of(version.schema) for version in numbered_versions(of, deleted=True))
