"""Endpoints of one version of a subject: show it, its schema and the schemas that refer to it, delete it."""

from typing import Any

from contracts import registry
from contracts.api import (
    base,
    openapi,
    request_parser,
)
from contracts.api.base import raw
from contracts.api.errors import VERSION_DELETED, VERSION_NOT_DELETED, Refused
from contracts.models import ContractVersion
from contracts.registry import references
from synapse.errors.contracts import (
    AlreadyDeleted,
    NotDeletedYet,
    UnknownContract,
    UnknownVersion,
)
from synapse.http.exchange import Request


@openapi.described("GET", "/subjects/{subject}/versions/{version}", "Show a version", openapi.Version, "deleted")
def show_version(asked: Request, subject: str, version: str) -> Any:
    """`latest` is the highest active version, else the highest that exists."""
    found = version_of(subject, version, deleted=request_parser.flag(asked, "deleted"))
    return base.version(found)


@openapi.described("DELETE", "/subjects/{subject}/versions/{version}", "Delete a version", openapi.NUMBER, "permanent")
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


@openapi.described(
    "GET", "/subjects/{subject}/versions/{version}/schema", "Show a version's schema alone", openapi.SCHEMA, "deleted"
)
def show_version_schema(asked: Request, subject: str, version: str) -> Any:
    """Returns the schema itself, as it was registered."""
    return raw(version_of(subject, version, deleted=request_parser.flag(asked, "deleted")).text)


@openapi.described(
    "GET",
    "/subjects/{subject}/versions/{version}/referencedby",
    "List the schemas that refer to a version",
    openapi.NUMBERS,
    *openapi.PAGE,
)
def referenced_by(asked: Request, subject: str, version: str) -> Any:
    """Lists the global ids of the schemas that refer to the version."""
    found = references.referring(version_of(subject, version, deleted=True), deleted=False)
    return request_parser.page(asked, list(found.values_list("pk", flat=True)))


def version_of(subject: str, text: str, *, deleted: bool) -> ContractVersion:
    """Return the version named in a path.

    Raises:
        UnknownContract, UnknownVersion: when it is not there.
        Refused: when it is no number.
    """
    number = request_parser.version(text)
    owner = registry.contract(subject)
    versions = registry.numbered(owner, deleted=deleted).select_related("contract", "schema")
    found = registry.latest_version(owner) if number is None else versions.filter(number=number).first()
    if found is not None:
        return found
    if number is None or not versions.exists():
        raise UnknownContract(f"The subject “{subject}” has no versions.")
    raise UnknownVersion(f"The subject “{subject}” has no version {number}.")
