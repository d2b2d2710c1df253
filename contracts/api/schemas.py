"""Schemas by their global id, which is how consumers of encoded events ask for them."""

import uuid
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal

from django.db import connection
from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from contracts.api import (
    base,
    openapi,
    request_parser,
    shapes,
)
from contracts.api.base import RegistryView, answer, may_see, raw
from contracts.api.content import JSON
from contracts.api.errors import SCHEMA_NOT_FOUND
from contracts.api.subjects import prefix_of
from contracts.models import ContractVersion, Schema
from contracts.registry.lookup import State
from synapse.errors.contracts import UnknownSchema


class Types(RegistryView):
    required_scope = {"GET": None}

    @openapi.described("List the kinds of schemas", name="schema_types", answer=openapi.TEXTS)
    def get(self, request: Request) -> HttpResponse:
        """JSON Schema is the only one."""
        return answer(request, [JSON])


class Schemas(RegistryView):
    # Who may see nothing hears of nothing: the list is empty.
    required_scope = {"GET": None}

    @openapi.described(
        "List the versions of all subjects",
        name="list_schemas",
        parameters=[openapi.PREFIX, openapi.DELETED, openapi.LATEST_ONLY, *openapi.PAGE],
        answer=openapi.list_of(shapes.Version),
        refusals=[400],
    )
    def get(self, request: Request) -> HttpResponse:
        """By subject, lowest number first; with their schemas."""
        asked = request._request
        found = ContractVersion.objects.filter(number__isnull=False).select_related("contract", "schema")
        if not may_see(request):
            found = found.none()
        if prefix := prefix_of(asked):
            found = found.filter(contract__subject__startswith=prefix)
        if not request_parser.flag(asked, "deleted"):
            found = found.filter(deleted_at=None)
        found = found.order_by("contract__subject", "number")
        if request_parser.flag(asked, "latestOnly", "latest_only"):
            versions = list(_latest(found))
            return answer(request, [base.version(version) for version in request_parser.page(asked, versions)])
        return answer(request, [base.version(version) for version in request_parser.page(asked, found)])


class ById(RegistryView):
    unseen = SCHEMA_NOT_FOUND

    @openapi.described(
        "Show a schema",
        name="show_schema",
        parameters=[openapi.ID, openapi.FETCH_MAX_ID],
        answer=shapes.Schema,
        refusals=[404],
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        """Also that of a deleted version, as long as it is not deleted for good: what was written with it stays
        readable."""
        shown = base.schema(_schema(id))
        if request_parser.flag(request._request, "fetchMaxId"):
            shown["maxId"] = Schema.objects.order_by("-pk").values_list("pk", flat=True).first()
        return answer(request, shown)


class SchemaAlone(RegistryView):
    unseen = SCHEMA_NOT_FOUND

    @openapi.described(
        "Show a schema alone", name="show_schema_text", parameters=[openapi.ID], answer=openapi.SCHEMA, refusals=[404]
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        """The schema itself, as it was registered."""
        return raw(request, _schema(id).text)


class SubjectsOf(RegistryView):
    unseen = SCHEMA_NOT_FOUND

    @openapi.described(
        "List the subjects of a schema",
        name="subjects_of_schema",
        parameters=[openapi.ID, openapi.PREFIX, openapi.DELETED, *openapi.PAGE],
        answer=openapi.TEXTS,
        refusals=[400, 404],
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        """Those that have a version with it."""
        subjects = _uses(request, id).values_list("contract__subject", flat=True).distinct()
        return answer(request, request_parser.page(request._request, list(subjects)))


class VersionsOf(RegistryView):
    unseen = SCHEMA_NOT_FOUND

    @openapi.described(
        "List the versions of a schema",
        name="versions_of_schema",
        parameters=[openapi.ID, openapi.PREFIX, openapi.DELETED, *openapi.PAGE],
        answer=openapi.list_of(shapes.VersionOfSchema),
        refusals=[400, 404],
    )
    def get(self, request: Request, id: str) -> HttpResponse:
        """Every subject and version that has it."""
        versions = [
            {"subject": subject, "version": number}
            for subject, number in _uses(request, id).values_list("contract__subject", "number")
        ]
        return answer(request, request_parser.page(request._request, versions))


class ByGuid(RegistryView):
    unseen = SCHEMA_NOT_FOUND

    @openapi.described(
        "Show a schema by its GUID",
        name="show_schema_by_guid",
        parameters=[openapi.GUID],
        answer=shapes.Schema,
        refusals=[404],
    )
    def get(self, request: Request, guid: str) -> HttpResponse:
        """The GUID is made of the schema itself: it is the same in every registry."""
        return answer(request, base.schema(_by_guid(guid)))


class IdsOfGuid(RegistryView):
    unseen = SCHEMA_NOT_FOUND

    @openapi.described(
        "List the ids of a GUID",
        name="ids_of_guid",
        parameters=[openapi.GUID],
        answer=openapi.list_of(shapes.ContextId),
        refusals=[404],
    )
    def get(self, request: Request, guid: str) -> HttpResponse:
        """One: there is one context."""
        return answer(request, [{"context": ".", "id": _by_guid(guid).pk}])


def _latest(found: Iterable[ContractVersion]) -> Iterator[ContractVersion]:
    """Give the latest version of each subject, as `latest` means it; of a subject that has only deleted ones, the
    highest."""
    for _, versions in groupby(found, key=lambda version: version.contract_id):
        yield max(
            versions, key=lambda version: (version.deleted_at is None, version.state == State.ACTIVE, version.number)
        )


# Consumers ask for each id that they meet, and the ORM takes longer to write this than the database to answer.
_IN_USE = f"""
SELECT * FROM {Schema._meta.db_table} AS kept WHERE kept.{{column}} = %s AND EXISTS (
    SELECT 1 FROM {ContractVersion._meta.db_table} AS used WHERE used.schema_id = kept.id
)
"""  # noqa: S608 - names of ours alone


def _in_use(column: Literal["id", "guid"], value: Any) -> Schema | None:
    """Return a schema that some version has."""
    found = Schema.objects.raw(_IN_USE.format(column=column), [value])
    return next(iter(found), None)


def _schema(text: str) -> Schema:
    found = _in_use("id", request_parser.id_of(text))
    if found is None:
        raise UnknownSchema(f"There is no schema {text[:50]}.")
    return found


def _by_guid(text: str) -> Schema:
    try:
        guid = uuid.UUID(text)
    except ValueError:
        raise UnknownSchema(f"“{text[:50]}” is no GUID.") from None
    found = _in_use("guid", Schema._meta.get_field("guid").get_db_prep_value(guid, connection))
    if found is None:
        raise UnknownSchema(f"There is no schema {guid}.")
    return found


def _uses(request: Request, text: str) -> QuerySet[ContractVersion]:
    found = ContractVersion.objects.filter(schema=request_parser.id_of(text)).order_by("contract__subject", "number")
    if not found.exists():
        raise UnknownSchema(f"There is no schema {text[:50]}.")
    if not request_parser.flag(request._request, "deleted"):
        found = found.filter(deleted_at=None)
    if prefix := prefix_of(request._request):
        found = found.filter(contract__subject__startswith=prefix)
    return found
