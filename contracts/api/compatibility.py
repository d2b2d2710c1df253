"""Compatibility checks of schemas, without registering them."""

from typing import Any

from contracts import registry
from contracts.api import errors, openapi, request_parser
from contracts.api.content import content_of
from contracts.api.openapi import READ
from contracts.api.subjects import version_of
from contracts.models import Contract
from contracts.registry import Content, references
from contracts.registry.compatibility import described
from synapse.compatibility import CompatibilityResult
from synapse.errors.contracts import UnknownContract
from synapse.http.exchange import Request


@openapi.described(
    "POST",
    "/compatibility/subjects/{subject}/versions/{version}",
    "Compare a schema with a version",
    openapi.Compatibility,
    "normalize",
    "verbose",
    request=openapi.SchemaBody,
    scope=READ,
)
def test_compatibility(asked: Request, subject: str, version: str) -> Any:
    """Compares with this version alone, under the subject's compatibility and policy. `latest` of a subject without
    versions is compatible with every schema.
    """
    content = _checked(asked, subject)
    try:
        against = version_of(subject, version, deleted=False)
    except UnknownContract:
        if request_parser.version(version) is not None:
            raise
        return _answer(asked, CompatibilityResult(is_compatible=True))
    return _answer(asked, registry.judge(against.contract, content, against=against))


@openapi.described(
    "POST",
    "/compatibility/subjects/{subject}/versions",
    "Say whether a schema would be refused",
    openapi.Compatibility,
    "normalize",
    "verbose",
    request=openapi.SchemaBody,
    scope=READ,
)
def test_compatibility_all_versions(asked: Request, subject: str) -> Any:
    """Compares with the versions that the subject's compatibility names, as registering does."""
    content = _checked(asked, subject)
    owner = Contract.objects.filter(subject=subject).first()
    verdict = CompatibilityResult(is_compatible=True) if owner is None else registry.judge(owner, content)
    return _answer(asked, verdict)


def _checked(asked: Request, subject: str) -> Content:
    content = content_of(asked, subject)
    references.check(content)
    return content


def _answer(asked: Request, verdict: CompatibilityResult) -> dict[str, Any]:
    shown: dict[str, Any] = {"is_compatible": verdict.is_compatible}
    if request_parser.flag(asked, "verbose"):
        differences = [described(difference) for difference in verdict.differences]
        shown |= {"messages": errors.messages(differences), "differences": differences}
    return shown
