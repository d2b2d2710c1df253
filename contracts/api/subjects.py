"""Subjects: list them, register a schema under one, look one up, delete one."""

from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from contracts import registry
from contracts.api import (
    base,
    openapi,
    request_parser,
    shapes,
)
from contracts.api.base import READ, WRITE, RegistryView, answer, may_see, principal
from contracts.api.content import content_of, refuse_given_ids
from contracts.api.errors import (
    INVALID_SUBJECT,
    SUBJECT_DELETED,
    SUBJECT_NOT_DELETED,
    Refused,
)
from contracts.models import Contract, ContractVersion
from synapse.errors.contracts import (
    AlreadyDeleted,
    NotDeletedYet,
    UnknownContract,
    UnknownSchema,
)

_ALL_CONTEXTS = (":*:", ":.:")


class Subjects(RegistryView):
    # Who may see nothing hears of nothing: the list is empty.
    required_scope = {"GET": None}

    @openapi.described(
        "List the subjects",
        name="list_subjects",
        parameters=[openapi.PREFIX, openapi.DELETED, openapi.DELETED_ONLY, *openapi.PAGE],
        answer=openapi.TEXTS,
        refusals=[400],
    )
    def get(self, request: Request) -> HttpResponse:
        """By name. A subject without a version that is there is left out, unless deleted ones are asked for."""
        asked = request._request
        prefix = prefix_of(asked)
        there = ContractVersion.objects.filter(contract=OuterRef("pk"), number__isnull=False)
        found = Contract.objects.filter(subject__startswith=prefix).order_by("subject")
        if not may_see(request):
            found = found.none()
        if request_parser.flag(asked, "deletedOnly", "deleted_only"):
            found = found.filter(Exists(there), ~Exists(there.filter(deleted_at=None)))
        elif request_parser.flag(asked, "deleted"):
            found = found.filter(Exists(there))
        else:
            found = found.filter(Exists(there.filter(deleted_at=None)))
        return answer(request, request_parser.page(asked, list(found.values_list("subject", flat=True))))


class Subject(RegistryView):
    required_scope = {"POST": READ, "DELETE": WRITE}

    @openapi.described(
        "Look a schema up under a subject",
        name="lookup_schema",
        parameters=[openapi.SUBJECT, openapi.NORMALIZE, openapi.DELETED],
        request=shapes.SchemaBody,
        answer=shapes.Version,
        refusals=[404, 415, 422],
    )
    def post(self, request: Request, subject: str) -> HttpResponse:
        """The newest version of the subject with this schema, however that is laid out."""
        content = content_of(request._request, subject)
        owner = _there(subject, deleted=request_parser.flag(request._request, "deleted"))
        found = registry.find(owner, content, deleted=request_parser.flag(request._request, "deleted"))
        if found is None:
            raise UnknownSchema(f"No version of “{subject}” has this schema.")
        return answer(request, base.version(found))

    @openapi.described(
        "Delete a subject",
        name="delete_subject",
        parameters=[openapi.SUBJECT, openapi.PERMANENT],
        answer=openapi.NUMBERS,
        refusals=[404, 422],
    )
    def delete(self, request: Request, subject: str) -> HttpResponse:
        """All its versions are hidden; with `permanent`, those that are hidden already are deleted for good."""
        permanent = request_parser.flag(request._request, "permanent")
        try:
            deleted = registry.delete_contract(registry.contract(subject), by=principal(request), permanent=permanent)
        except AlreadyDeleted as refused:
            raise Refused(SUBJECT_DELETED, refused.detail) from None
        except NotDeletedYet as refused:
            raise Refused(SUBJECT_NOT_DELETED, refused.detail) from None
        return answer(request, deleted)


class Versions(RegistryView):
    @openapi.described(
        "List a subject's versions",
        name="list_versions",
        parameters=[openapi.SUBJECT, openapi.DELETED, openapi.DELETED_ONLY, *openapi.PAGE],
        answer=openapi.NUMBERS,
        refusals=[400, 404],
    )
    def get(self, request: Request, subject: str) -> HttpResponse:
        """Their numbers, lowest first."""
        asked = request._request
        only_deleted = request_parser.flag(asked, "deletedOnly", "deleted_only")
        found = registry.numbered(
            registry.contract(subject), deleted=only_deleted or request_parser.flag(asked, "deleted")
        )
        if only_deleted:
            found = found.exclude(deleted_at=None)
        numbers = list(found.values_list("number", flat=True))
        if not numbers:
            raise UnknownContract(f"The subject “{subject}” has no versions.")
        return answer(request, request_parser.page(asked, numbers))

    @openapi.described(
        "Register a schema under a subject",
        name="register_schema",
        parameters=[openapi.SUBJECT, openapi.NORMALIZE],
        request=shapes.SchemaBody,
        answer=shapes.Registered,
        refusals=[409, 413, 415, 422],
    )
    def post(self, request: Request, subject: str) -> HttpResponse:
        """The schema becomes the subject's next version, and what events are checked against where the subject is an
        event type's contract. The version that has this schema already is answered again, and nothing changes."""
        check_subject(subject)
        content = content_of(request._request, subject)
        refuse_given_ids(request._request)
        found = registry.ensure(subject, content, by=principal(request))
        return answer(request, base.registered(found))


class LatestWithMetadata(RegistryView):
    @openapi.described(
        "Show the newest version with some metadata",
        name="latest_with_metadata",
        parameters=[openapi.SUBJECT, openapi.KEY, openapi.VALUE, openapi.DELETED],
        answer=shapes.Version,
        refusals=[400, 404],
    )
    def get(self, request: Request, subject: str) -> HttpResponse:
        """The newest version whose metadata have each `key` with its `value`, given in pairs."""
        asked = request._request
        wanted = dict(zip(asked.GET.getlist("key"), asked.GET.getlist("value"), strict=False))
        owner = _there(subject, deleted=request_parser.flag(asked, "deleted"))
        for found in registry.numbered(owner, deleted=request_parser.flag(asked, "deleted")).reverse():
            metadata = found.schema and found.schema.metadata
            properties = metadata.get("properties") if metadata else None
            if isinstance(properties, dict) and wanted.items() <= properties.items():
                return answer(request, base.version(found))
        raise UnknownSchema(f"No version of “{subject}” has these metadata.")


def prefix_of(asked: HttpRequest) -> str:
    """Return the beginning that subjects must have; other registries' word for all of them is none."""
    prefix = request_parser.text_of(asked, "subjectPrefix", "subject")
    if "\0" in prefix:
        raise Refused(INVALID_SUBJECT, "No subject holds the NUL character.")
    return "" if prefix in _ALL_CONTEXTS else prefix


def _there(subject: str, *, deleted: bool) -> Contract:
    found = registry.contract(subject)
    if not registry.numbered(found, deleted=deleted).exists():
        raise UnknownContract(f"The subject “{subject}” has no versions.")
    return found


def check_subject(subject: str) -> None:
    """Refuse a subject that nobody could see, or ask for by a path."""
    if len(subject) > 255 or subject.endswith("/") or not subject.isprintable() or subject.isspace():
        raise Refused(INVALID_SUBJECT, "A subject has 1 to 255 visible characters and does not end with a slash.")
