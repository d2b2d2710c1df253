"""One version of a subject: show it, its schema and who refers to it, delete it."""

from django.http import HttpResponse
from rest_framework.request import Request

from contracts import registry
from contracts.api import (
    base,
    openapi,
    request_parser,
    shapes,
)
from contracts.api.base import RegistryView, answer, principal, raw
from contracts.api.errors import VERSION_DELETED, VERSION_NOT_DELETED, Refused
from contracts.models import ContractVersion
from contracts.registry import references
from synapse.errors.contracts import (
    AlreadyDeleted,
    NotDeletedYet,
    UnknownContract,
    UnknownVersion,
)


class Version(RegistryView):
    @openapi.described(
        "Show a version",
        name="show_version",
        parameters=[openapi.SUBJECT, openapi.VERSION, openapi.DELETED],
        answer=shapes.Version,
        refusals=[404, 422],
    )
    def get(self, request: Request, subject: str, version: str) -> HttpResponse:
        """`latest` is the highest active version, else the highest that is there."""
        found = version_of(subject, version, deleted=request_parser.flag(request._request, "deleted"))
        return answer(request, base.version(found))

    @openapi.described(
        "Delete a version",
        name="delete_version",
        parameters=[openapi.SUBJECT, openapi.VERSION, openapi.PERMANENT],
        answer=openapi.NUMBER,
        refusals=[404, 422],
    )
    def delete(self, request: Request, subject: str, version: str) -> HttpResponse:
        """It is hidden; with `permanent`, one that is hidden already is deleted for good. Its number stays taken."""
        found = version_of(subject, version, deleted=True)
        number = found.number
        permanent = request_parser.flag(request._request, "permanent")
        try:
            registry.delete_version(found, by=principal(request), permanent=permanent)
        except AlreadyDeleted as refused:
            raise Refused(VERSION_DELETED, refused.detail) from None
        except NotDeletedYet as refused:
            raise Refused(VERSION_NOT_DELETED, refused.detail) from None
        return answer(request, number)


class VersionSchema(RegistryView):
    @openapi.described(
        "Show a version's schema alone",
        name="show_version_schema",
        parameters=[openapi.SUBJECT, openapi.VERSION, openapi.DELETED],
        answer=openapi.SCHEMA,
        refusals=[404, 422],
    )
    def get(self, request: Request, subject: str, version: str) -> HttpResponse:
        """The schema itself, as it was registered."""
        return raw(request, version_of(subject, version, deleted=request_parser.flag(request._request, "deleted")).text)


class ReferencedBy(RegistryView):
    @openapi.described(
        "List the schemas that refer to a version",
        name="referenced_by",
        parameters=[openapi.SUBJECT, openapi.VERSION, *openapi.PAGE],
        answer=openapi.NUMBERS,
        refusals=[400, 404, 422],
    )
    def get(self, request: Request, subject: str, version: str) -> HttpResponse:
        """Their global ids."""
        found = references.referring(version_of(subject, version, deleted=True), deleted=False)
        return answer(request, request_parser.page(request._request, list(found.values_list("pk", flat=True))))


def version_of(subject: str, text: str, *, deleted: bool) -> ContractVersion:
    """Return the version that a path names.

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
