"""Schemas by their global id, for consumers of events that carry the id."""

import uuid
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal

from django.db import connection
from django.db.models import QuerySet

from contracts.api import openapi, request_parser
from contracts.api.openapi import READ
from contracts.api.request_parser import JSON
from contracts.api.subjects import prefix_of, schema_json, version_json
from contracts.models import ContractVersion, Schema
from contracts.registry.lookup import State
from synapse.errors.contracts import UnknownSchema
from synapse.http.exchange import Request, Response


@openapi.declare("GET", "/schemas/types", "List the kinds of schemas", openapi.TEXTS, scope=None)
def schema_types(asked: Request) -> Any:
    """JSON Schema is the only kind."""
    return [JSON]


@openapi.declare(
    "GET",
    "/schemas{?subjectPrefix,deleted,latestOnly,offset,limit}",
    "List the versions of all subjects",
    list[openapi.Version],
    scope=None,
)
def list_schemas(asked: Request) -> Any:
    """Lists versions by subject, lowest number first, with their schemas."""
    found = ContractVersion.objects.filter(number__isnull=False).select_related("contract", "schema")
    if not asked.principal.rights.has(READ):
        found = found.none()
    if prefix := prefix_of(asked):
        found = found.filter(contract__subject__startswith=prefix)
    if not request_parser.flag(asked, "deleted"):
        found = found.filter(deleted_at=None)
    found = found.order_by("contract__subject", "number")
    if request_parser.flag(asked, "latestOnly", "latest_only"):
        versions = list(_latest_versions(found))
        return [version_json(version) for version in request_parser.page(asked, versions)]
    return [version_json(version) for version in request_parser.page(asked, found)]


@openapi.declare("GET", "/schemas/ids/{id}{?fetchMaxId}", "Show a schema", openapi.Schema)
def show_schema(asked: Request, id: str) -> Any:
    """Shows schemas of deleted versions too, until those are deleted for good: their events stay readable."""
    shown = schema_json(_find_schema(id))
    if request_parser.flag(asked, "fetchMaxId"):
        shown["maxId"] = Schema.objects.order_by("-pk").values_list("pk", flat=True).first()
    return shown


@openapi.declare("GET", "/schemas/ids/{id}/schema", "Show a schema alone", openapi.SCHEMA)
def show_schema_text(asked: Request, id: str) -> Any:
    """Returns the schema itself, as it was registered."""
    return Response(body=_find_schema(id).text.encode())


@openapi.declare(
    "GET",
    "/schemas/ids/{id}/subjects{?subjectPrefix,deleted,offset,limit}",
    "List the subjects of a schema",
    openapi.TEXTS,
)
def subjects_of_schema(asked: Request, id: str) -> Any:
    """Lists the subjects that have a version with this schema."""
    subjects = _versions_with(asked, id).values_list("contract__subject", flat=True).distinct()
    return request_parser.page(asked, list(subjects))


@openapi.declare(
    "GET",
    "/schemas/ids/{id}/versions{?subjectPrefix,deleted,offset,limit}",
    "List the versions of a schema",
    list[openapi.VersionOfSchema],
)
def versions_of_schema(asked: Request, id: str) -> Any:
    """Lists every subject and version with this schema."""
    versions = [
        {"subject": subject, "version": number}
        for subject, number in _versions_with(asked, id).values_list("contract__subject", "number")
    ]
    return request_parser.page(asked, versions)


@openapi.declare("GET", "/schemas/guids/{guid}", "Show a schema by its GUID", openapi.Schema)
def show_schema_by_guid(asked: Request, guid: str) -> Any:
    """The GUID is derived from the schema itself, and equal in every registry."""
    return schema_json(_by_guid(guid))


@openapi.declare("GET", "/schemas/guids/{guid}/ids", "List the ids of a GUID", list[openapi.ContextId])
def ids_of_guid(asked: Request, guid: str) -> Any:
    """Lists a single id, since there is one context."""
    return [{"context": ".", "id": _by_guid(guid).pk}]


def _latest_versions(found: Iterable[ContractVersion]) -> Iterator[ContractVersion]:
    """Yield the version of each subject that `latest` selects, or the highest one if all versions are deleted."""
    for _, versions in groupby(found, key=lambda version: version.contract_id):
        yield max(
            versions, key=lambda version: (version.deleted_at is None, version.state == State.ACTIVE, version.number)
        )


# Consumers ask for every id that they encounter, and the ORM would take longer to build the query than the database to
# run it.
_IN_USE = f"""
SELECT * FROM {Schema._meta.db_table} AS kept WHERE kept.{{column}} = %s AND EXISTS (
    SELECT 1 FROM {ContractVersion._meta.db_table} AS used WHERE used.schema_id = kept.id
)
"""  # noqa: S608 - contains only names of our own


def _in_use(column: Literal["id", "guid"], value: Any) -> Schema | None:
    """Return the schema if it has at least one version, otherwise None."""
    found = Schema.objects.raw(_IN_USE.format(column=column), [value])
    return next(iter(found), None)


def _find_schema(text: str) -> Schema:
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


def _versions_with(asked: Request, text: str) -> QuerySet[ContractVersion]:
    found = ContractVersion.objects.filter(schema=request_parser.id_of(text)).order_by("contract__subject", "number")
    if not found.exists():
        raise UnknownSchema(f"There is no schema {text[:50]}.")
    if not request_parser.flag(asked, "deleted"):
        found = found.filter(deleted_at=None)
    if prefix := prefix_of(asked):
        found = found.filter(contract__subject__startswith=prefix)
    return found
