"""Compatibility and policy: of all subjects, and of those that say otherwise."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from contracts.api import openapi, request_parser, shapes
from contracts.api.base import RegistryView, answer, principal
from contracts.api.errors import INVALID_COMPATIBILITY, NO_COMPATIBILITY, Refused
from contracts.api.subjects import check_subject
from contracts.models import Compatibility, Contract, Policy, RegistrySettings
from contracts.registry import settings

# Other registries apply these; here they are kept and given back. `normalize` is applied here, too.
KEPT = {
    "normalize": bool,
    "compatibilityGroup": str,
    "defaultMetadata": dict,
    "overrideMetadata": dict,
    "defaultRuleSet": dict,
    "overrideRuleSet": dict,
}

_FORMS = {str: "a text", dict: "a JSON object", bool: "true or false"}
_SETTINGS = ("compatibility", "compatibilityLevel", "compatibilityPolicy", *KEPT)


class OfAll(RegistryView):
    unseen = NO_COMPATIBILITY

    @openapi.described("Show the compatibility of all subjects", name="show_config", answer=shapes.Config)
    def get(self, request: Request) -> HttpResponse:
        """What holds for every subject that does not say otherwise."""
        return answer(request, _shown(settings.of_all()))

    @openapi.described(
        "Set the compatibility of all subjects",
        name="set_config",
        request=shapes.ConfigBody,
        answer=shapes.ConfigBody,
        refusals=[400, 415, 422],
    )
    def put(self, request: Request) -> HttpResponse:
        """What is left out stays as it is. The answer repeats what was set."""
        values, echo = _asked(request)
        settings.change(None, by=principal(request), **values)
        return answer(request, echo)

    @openapi.described(
        "Take the compatibility of all subjects back", name="delete_config", answer=shapes.Config, refusals=[422]
    )
    def delete(self, request: Request) -> HttpResponse:
        """Back to BACKWARD and LENIENT. The answer is what held before."""
        before = _shown(settings.of_all())
        settings.change(
            None,
            by=principal(request),
            compatibility=Compatibility.BACKWARD.value,
            policy=Policy.LENIENT.value,
            extras={},
        )
        return answer(request, before)


class OfSubject(RegistryView):
    unseen = NO_COMPATIBILITY

    @openapi.described(
        "Show a subject's compatibility",
        name="show_subject_config",
        parameters=[openapi.SUBJECT, openapi.DEFAULT_TO_GLOBAL],
        answer=shapes.Config,
        refusals=[404],
    )
    def get(self, request: Request, subject: str) -> HttpResponse:
        """404 when it has none of its own, unless what holds for all is asked for instead."""
        owner = Contract.objects.filter(subject=subject).first()
        if owner is not None and _says_something(owner):
            return answer(request, _shown(owner))
        if request_parser.flag(request._request, "defaultToGlobal"):
            return answer(request, _shown(settings.of_all()))
        raise _none(subject)

    @openapi.described(
        "Set a subject's compatibility",
        name="set_subject_config",
        parameters=[openapi.SUBJECT],
        request=shapes.ConfigBody,
        answer=shapes.ConfigBody,
        refusals=[400, 415, 422],
    )
    def put(self, request: Request, subject: str) -> HttpResponse:
        """What is left out stays as it is. The subject need not have a version yet."""
        check_subject(subject)
        values, echo = _asked(request)
        settings.change_contract(subject, by=principal(request), **values)
        return answer(request, echo)

    @openapi.described(
        "Take a subject's compatibility back",
        name="delete_subject_config",
        parameters=[openapi.SUBJECT],
        answer=shapes.Config,
        refusals=[404, 422],
    )
    def delete(self, request: Request, subject: str) -> HttpResponse:
        """What holds for all holds for it again. The answer is what held before."""
        owner = Contract.objects.filter(subject=subject).first()
        if owner is None or not _says_something(owner):
            raise _none(subject)
        before = _shown(owner)
        settings.change_contract(subject, by=principal(request), compatibility="", policy="", extras={})
        return answer(request, before)


def _asked(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a body sets, as `settings.change` takes it and as it is echoed."""
    body = request_parser.body(request._request)
    if unknown := sorted(name for name, value in body.items() if name not in _SETTINGS and value is not None):
        raise Refused(
            INVALID_COMPATIBILITY,
            f"“{unknown[0][:100]}” is no setting of this registry; nothing was set. It knows {', '.join(_SETTINGS)}.",
        )
    values: dict[str, Any] = {}
    echo: dict[str, Any] = {}
    for name, column, choices in (
        ("compatibility", "compatibility", Compatibility),
        ("compatibilityLevel", "compatibility", Compatibility),
        ("compatibilityPolicy", "policy", Policy),
    ):
        word = body.get(name)
        if word is None:
            continue
        if not isinstance(word, str) or word.upper() not in choices.values:
            raise Refused(INVALID_COMPATIBILITY, f"“{name}” is one of {', '.join(choices.values)}.")
        values[column] = echo[name] = word.upper()
    kept = {name: body[name] for name in KEPT if body.get(name) is not None}
    for name, given in kept.items():
        if not isinstance(given, KEPT[name]):
            raise Refused(INVALID_COMPATIBILITY, f"“{name}” is {_FORMS[KEPT[name]]}.")
    if kept:
        values["more"] = kept
    return values, {**echo, **kept}


def _says_something(of: Contract) -> bool:
    return bool(of.compatibility or of.policy or of.extras)


def _shown(of: Contract | RegistrySettings) -> dict[str, Any]:
    everywhere = of if isinstance(of, RegistrySettings) else settings.of_all()
    return {
        "compatibilityLevel": of.compatibility or everywhere.compatibility,
        "compatibilityPolicy": of.policy or everywhere.policy,
        **of.extras,
    }


def _none(subject: str) -> Refused:
    return Refused(NO_COMPATIBILITY, f"The subject “{subject}” has no compatibility of its own.")
