"""Would a schema be refused? Nothing is registered."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from contracts import registry
from contracts.api import (
    errors,
    openapi,
    request_parser,
    shapes,
)
from contracts.api.base import READ, RegistryView, answer
from contracts.api.content import content_of
from contracts.api.versions import version_of
from contracts.models import Contract
from contracts.registry import Content, references
from contracts.registry.compatibility import described
from synapse.compatibility import Verdict
from synapse.errors.contracts import UnknownContract


class WithVersion(RegistryView):
    required_scope = {"POST": READ}

    @openapi.described(
        "Compare a schema with a version",
        name="test_compatibility",
        parameters=[openapi.SUBJECT, openapi.VERSION, openapi.NORMALIZE, openapi.VERBOSE],
        request=shapes.SchemaBody,
        answer=shapes.Compatibility,
        refusals=[404, 415, 422],
    )
    def post(self, request: Request, subject: str, version: str) -> HttpResponse:
        """With this version alone, under the subject's compatibility and policy. With the latest of a subject that
        has none, every schema is compatible."""
        content = _checked(request, subject)
        try:
            against = version_of(subject, version, deleted=False)
        except UnknownContract:
            if request_parser.version(version) is not None:
                raise
            return _answer(request, Verdict(is_compatible=True))
        return _answer(request, registry.judge(against.contract, content, against=against))


class WithVersions(RegistryView):
    required_scope = {"POST": READ}

    @openapi.described(
        "Say whether a schema would be refused",
        name="test_compatibility_all_versions",
        parameters=[openapi.SUBJECT, openapi.NORMALIZE, openapi.VERBOSE],
        request=shapes.SchemaBody,
        answer=shapes.Compatibility,
        refusals=[415, 422],
    )
    def post(self, request: Request, subject: str) -> HttpResponse:
        """As registering would: compared with the versions that the subject's compatibility names."""
        content = _checked(request, subject)
        owner = Contract.objects.filter(subject=subject).first()
        verdict = Verdict(is_compatible=True) if owner is None else registry.judge(owner, content)
        return _answer(request, verdict)


def _checked(request: Request, subject: str) -> Content:
    content = content_of(request._request, subject)
    references.check(content)
    return content


def _answer(request: Request, verdict: Verdict) -> HttpResponse:
    shown: dict[str, Any] = {"is_compatible": verdict.is_compatible}
    if request_parser.flag(request._request, "verbose"):
        differences = [described(difference) for difference in verdict.differences]
        shown |= {"messages": errors.messages(differences), "differences": differences}
    return answer(request, shown)
