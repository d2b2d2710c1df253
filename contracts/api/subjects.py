"""Subjects and their versions: list, show and delete them; register schemas, look them up, and compare them."""

from typing import Any

from django.db.models import Exists, OuterRef

from contracts import registry
from contracts.api import errors, openapi, request_parser
from contracts.api.errors import (
    INVALID_SUBJECT,
    SUBJECT_DELETED,
    SUBJECT_NOT_DELETED,
    VERSION_DELETED,
    VERSION_NOT_DELETED,
    Refused,
)
from contracts.api.openapi import READ
from contracts.api.request_parser import JSON, content_of, refuse_given_ids
from contracts.models import Contract, ContractVersion, Schema
from contracts.registry import Content, references
from contracts.registry.compatibility import difference_json
from synapse.compatibility import CompatibilityResult
from synapse.errors.contracts import AlreadyDeleted, NotDeletedYet, UnknownContract, UnknownSchema, UnknownVersion
from synapse.http.exchange import Request, Response

_ALL_CONTEXTS = (":*:", ":.:")


def schema_json(found: Schema) -> dict[str, Any]:
    """Return a schema as in the response of `GET /schemas/ids/{id}`."""
    shown: dict[str, Any] = {"schema": found.text, "schemaType": JSON, "guid": str(found.guid)}
    if found.references:
        shown["references"] = found.references
    if found.metadata is not None:
        shown["metadata"] = found.metadata
    if found.rule_set is not None:
        shown["ruleSet"] = found.rule_set
    return shown


def version_json(found: ContractVersion) -> dict[str, Any]:
    """Return a version as in the response of `GET /subjects/{subject}/versions/{version}`."""
    shown: dict[str, Any] = {"subject": found.contract.subject, "version": found.number, "id": found.schema_id}
    if found.schema is not None:
        shown |= schema_json(found.schema)
    if found.activated_at is not None:
        shown["ts"] = int(found.activated_at.timestamp() * 1000)
    if found.deleted_at is not None:
        shown["deleted"] = True
    return shown


@openapi.declare(
    "GET", "/subjects{?subjectPrefix,deleted,deletedOnly,offset,limit}", "List the subjects", openapi.TEXTS, scope=None
)
def list_subjects(asked: Request) -> Any:
    """Lists subjects by name. Subjects with only deleted versions are left out, unless deleted ones are asked for."""
    prefix = prefix_of(asked)
    there = ContractVersion.objects.filter(contract=OuterRef("pk"), number__isnull=False)
    found = Contract.objects.filter(subject__startswith=prefix).order_by("subject")
    if not asked.principal.rights.has(READ):
        found = found.none()
    if request_parser.flag(asked, "deletedOnly", "deleted_only"):
        found = found.filter(Exists(there), ~Exists(there.filter(deleted_at=None)))
    elif request_parser.flag(asked, "deleted"):
        found = found.filter(Exists(there))
    else:
        found = found.filter(Exists(there.filter(deleted_at=None)))
    return request_parser.page(asked, list(found.values_list("subject", flat=True)))


@openapi.declare(
    "POST",
    "/subjects/{subject}{?normalize,deleted}",
    "Look a schema up under a subject",
    openapi.Version,
    request=openapi.SchemaBody,
    scope=READ,
)
def lookup_schema(asked: Request, subject: str) -> Any:
    """Returns the newest version of the subject with an equivalent schema, regardless of layout."""
    content = content_of(asked, subject)
    owner = _find_subject(subject, deleted=request_parser.flag(asked, "deleted"))
    found = registry.find_equivalent(owner, content, deleted=request_parser.flag(asked, "deleted"))
    if found is None:
        raise UnknownSchema(f"No version of “{subject}” has this schema.")
    return version_json(found)


@openapi.declare("DELETE", "/subjects/{subject}{?permanent}", "Delete a subject", openapi.NUMBERS)
def delete_subject(asked: Request, subject: str) -> Any:
    """Hides all its versions; with `permanent`, versions that are already hidden are deleted for good."""
    permanent = request_parser.flag(asked, "permanent")
    try:
        deleted = registry.delete_contract(registry.contract(subject), by=asked.principal, permanent=permanent)
    except AlreadyDeleted as refused:
        raise Refused(SUBJECT_DELETED, refused.detail) from None
    except NotDeletedYet as refused:
        raise Refused(SUBJECT_NOT_DELETED, refused.detail) from None
    return deleted


@openapi.declare(
    "GET",
    "/subjects/{subject}/versions{?deleted,deletedOnly,offset,limit}",
    "List a subject's versions",
    openapi.NUMBERS,
)
def list_versions(asked: Request, subject: str) -> Any:
    """Lists the version numbers, lowest first."""
    only_deleted = request_parser.flag(asked, "deletedOnly", "deleted_only")
    deleted = only_deleted or request_parser.flag(asked, "deleted")
    found = registry.numbered_versions(registry.contract(subject), deleted=deleted)
    if only_deleted:
        found = found.exclude(deleted_at=None)
    numbers = list(found.values_list("number", flat=True))
    if not numbers:
        raise UnknownContract(f"The subject “{subject}” has no versions.")
    return request_parser.page(asked, numbers)


@openapi.declare(
    "POST",
    "/subjects/{subject}/versions{?normalize}",
    "Register a schema under a subject",
    openapi.Registered,
    request=openapi.SchemaBody,
    refusals=[409],
)
def register_schema(asked: Request, subject: str) -> Any:
    """Makes the schema the subject's next version. Where the subject is an event type's contract, events are then
    checked against it. When a version has this schema already, that version is the answer and nothing changes.
    """
    check_subject(subject)
    content = content_of(asked, subject)
    refuse_given_ids(asked)
    shown = version_json(registry.find_or_register(subject, content, by=asked.principal))
    del shown["subject"]
    return shown


@openapi.declare(
    "GET",
    "/subjects/{subject}/metadata{?key,value,deleted}",
    "Show the newest version with some metadata",
    openapi.Version,
)
def latest_with_metadata(asked: Request, subject: str) -> Any:
    """Returns the newest version whose metadata have each `key` with its `value`, given in pairs."""
    wanted = dict(zip(asked.values("key"), asked.values("value"), strict=False))
    owner = _find_subject(subject, deleted=request_parser.flag(asked, "deleted"))
    for found in registry.numbered_versions(owner, deleted=request_parser.flag(asked, "deleted")).reverse():
        metadata = found.schema and found.schema.metadata
        properties = metadata.get("properties") if metadata else None
        if isinstance(properties, dict) and wanted.items() <= properties.items():
            return version_json(found)
    raise UnknownSchema(f"No version of “{subject}” has these metadata.")


def prefix_of(asked: Request) -> str:
    """Return the requested prefix of subjects. The wildcard that other registries use for all subjects becomes ""."""
    prefix = request_parser.text_of(asked, "subjectPrefix", "subject")
    if "\0" in prefix:
        raise Refused(INVALID_SUBJECT, "No subject holds the NUL character.")
    return "" if prefix in _ALL_CONTEXTS else prefix


def _find_subject(subject: str, *, deleted: bool) -> Contract:
    found = registry.contract(subject)
    if not registry.numbered_versions(found, deleted=deleted).exists():
        raise UnknownContract(f"The subject “{subject}” has no versions.")
    return found


def check_subject(subject: str) -> None:
    """Refuse a subject with invisible characters, or one that cannot be part of a path."""
    if len(subject) > 255 or subject.endswith("/") or not subject.isprintable() or subject.isspace():
        raise Refused(INVALID_SUBJECT, "A subject has 1 to 255 visible characters and does not end with a slash.")


@openapi.declare("GET", "/subjects/{subject}/versions/{version}{?deleted}", "Show a version", openapi.Version)
def show_version(asked: Request, subject: str, version: str) -> Any:
    """`latest` is the highest active version, else the highest that exists."""
    found = version_of(subject, version, deleted=request_parser.flag(asked, "deleted"))
    return version_json(found)


@openapi.declare("DELETE", "/subjects/{subject}/versions/{version}{?permanent}", "Delete a version", openapi.NUMBER)
def delete_version(asked: Request, subject: str, version: str) -> Any:
    """Hides the version; with `permanent`, deletes a hidden one for good. Its number is never given again."""
    found = version_of(subject, version, deleted=True)
    number = found.number
    permanent = request_parser.flag(asked, "permanent")
    try:
        registry.delete_version(found, by=asked.principal, permanent=permanent)
    except AlreadyDeleted as refused:
        raise Refused(VERSION_DELETED, refused.detail) from None
    except NotDeletedYet as refused:
        raise Refused(VERSION_NOT_DELETED, refused.detail) from None
    return number


@openapi.declare(
    "GET", "/subjects/{subject}/versions/{version}/schema{?deleted}", "Show a version's schema alone", openapi.SCHEMA
)
def show_version_schema(asked: Request, subject: str, version: str) -> Any:
    """Returns the schema itself, as it was registered."""
    found = version_of(subject, version, deleted=request_parser.flag(asked, "deleted"))
    return Response(body=found.text.encode())


@openapi.declare(
    "GET",
    "/subjects/{subject}/versions/{version}/referencedby{?offset,limit}",
    "List the schemas that refer to a version",
    openapi.NUMBERS,
)
def referenced_by(asked: Request, subject: str, version: str) -> Any:
    """Lists the global ids of the schemas that refer to the version."""
    found = references.referring_schemas(version_of(subject, version, deleted=True), deleted=False)
    return request_parser.page(asked, list(found.values_list("pk", flat=True)))


def version_of(subject: str, text: str, *, deleted: bool) -> ContractVersion:
    """Return the version named in a path.

    Raises:
        UnknownContract, UnknownVersion: when it does not exist.
        Refused: when `text` is neither a number nor `latest`.
    """
    number = request_parser.version(text)
    owner = registry.contract(subject)
    versions = registry.numbered_versions(owner, deleted=deleted).select_related("contract", "schema")
    found = registry.latest_version(owner) if number is None else versions.filter(number=number).first()
    if found is not None:
        return found
    if number is None or not versions.exists():
        raise UnknownContract(f"The subject “{subject}” has no versions.")
    raise UnknownVersion(f"The subject “{subject}” has no version {number}.")


@openapi.declare(
    "POST",
    "/compatibility/subjects/{subject}/versions/{version}{?normalize,verbose}",
    "Compare a schema with a version",
    openapi.Compatibility,
    request=openapi.SchemaBody,
    scope=READ,
)
def test_compatibility(asked: Request, subject: str, version: str) -> Any:
    """Compares with this version alone, under the subject's compatibility and policy. `latest` of a subject without
    versions is compatible with every schema.
    """
    content = _check_body(asked, subject)
    try:
        against = version_of(subject, version, deleted=False)
    except UnknownContract:
        if request_parser.version(version) is not None:
            raise
        return _result_json(asked, CompatibilityResult(is_compatible=True))
    return _result_json(asked, registry.check_compatibility(against.contract, content, against=against))


@openapi.declare(
    "POST",
    "/compatibility/subjects/{subject}/versions{?normalize,verbose}",
    "Say whether a schema would be refused",
    openapi.Compatibility,
    request=openapi.SchemaBody,
    scope=READ,
)
def test_compatibility_all_versions(asked: Request, subject: str) -> Any:
    """Compares with the versions that the subject's compatibility names, as registering does."""
    content = _check_body(asked, subject)
    owner = Contract.objects.filter(subject=subject).first()
    verdict = CompatibilityResult(is_compatible=True) if owner is None else registry.check_compatibility(owner, content)
    return _result_json(asked, verdict)


def _check_body(asked: Request, subject: str) -> Content:
    content = content_of(asked, subject)
    references.check_content(content)
    return content


def _result_json(asked: Request, verdict: CompatibilityResult) -> dict[str, Any]:
    shown: dict[str, Any] = {"is_compatible": verdict.is_compatible}
    if request_parser.flag(asked, "verbose"):
        differences = [difference_json(difference) for difference in verdict.differences]
        shown |= {"messages": errors.messages(differences), "differences": differences}
    return shown
