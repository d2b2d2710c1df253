"""What may be done with subjects: read and write, or only read."""

from django.http import HttpResponse
from rest_framework.request import Request

from contracts.api import openapi, request_parser, shapes
from contracts.api.base import RegistryView, answer, principal
from contracts.api.errors import (
    INVALID_MODE,
    NO_MODE,
    NOT_PERMITTED,
    Refused,
)
from contracts.api.subjects import check_subject
from contracts.models import Contract, Mode
from contracts.registry import settings

_IMPORT = "IMPORT"


class OfAll(RegistryView):
    unseen = NO_MODE

    @openapi.described("Show the mode of all subjects", name="show_mode", answer=shapes.ModeBody)
    def get(self, request: Request) -> HttpResponse:
        """What holds for every subject that does not say otherwise."""
        return answer(request, {"mode": settings.of_all().mode})

    @openapi.described(
        "Set the mode of all subjects",
        name="set_mode",
        parameters=[openapi.FORCE],
        request=shapes.ModeBody,
        answer=shapes.ModeBody,
        refusals=[400, 415, 422],
    )
    def put(self, request: Request) -> HttpResponse:
        """READONLY_OVERRIDE also holds for subjects that say otherwise."""
        mode = _asked(request)
        settings.change(None, by=principal(request), mode=mode)
        return answer(request, {"mode": mode})

    @openapi.described("Take the mode of all subjects back", name="delete_mode", answer=shapes.ModeBody)
    def delete(self, request: Request) -> HttpResponse:
        """Back to READWRITE. The answer is what held before."""
        before = settings.of_all().mode
        settings.change(None, by=principal(request), mode=Mode.READWRITE.value)
        return answer(request, {"mode": before})


class OfSubject(RegistryView):
    unseen = NO_MODE

    @openapi.described(
        "Show a subject's mode",
        name="show_subject_mode",
        parameters=[openapi.SUBJECT, openapi.DEFAULT_TO_GLOBAL],
        answer=shapes.ModeBody,
        refusals=[404],
    )
    def get(self, request: Request, subject: str) -> HttpResponse:
        """404 when it has none of its own, unless what holds for it is asked for instead."""
        owner = Contract.objects.filter(subject=subject).first()
        if request_parser.flag(request._request, "defaultToGlobal"):
            return answer(request, {"mode": settings.mode_of(owner)})
        if owner is None or not owner.mode:
            raise _none(subject)
        return answer(request, {"mode": owner.mode})

    @openapi.described(
        "Set a subject's mode",
        name="set_subject_mode",
        parameters=[openapi.SUBJECT, openapi.FORCE],
        request=shapes.ModeBody,
        answer=shapes.ModeBody,
        refusals=[400, 415, 422],
    )
    def put(self, request: Request, subject: str) -> HttpResponse:
        """The subject need not have a version yet."""
        check_subject(subject)
        mode = _asked(request)
        settings.change_contract(subject, by=principal(request), mode=mode)
        return answer(request, {"mode": mode})

    @openapi.described(
        "Take a subject's mode back",
        name="delete_subject_mode",
        parameters=[openapi.SUBJECT],
        answer=shapes.ModeBody,
        refusals=[404],
    )
    def delete(self, request: Request, subject: str) -> HttpResponse:
        """What holds for all holds for it again. The answer is what held before."""
        owner = Contract.objects.filter(subject=subject).first()
        if owner is None or not owner.mode:
            raise _none(subject)
        settings.change_contract(subject, by=principal(request), mode="")
        return answer(request, {"mode": owner.mode})


def _asked(request: Request) -> str:
    request_parser.flag(request._request, "force")
    body = request_parser.body(request._request)
    if unknown := sorted(name for name, value in body.items() if name != "mode" and value is not None):
        raise Refused(INVALID_MODE, f"“{unknown[0][:100]}” goes with no mode; nothing was set. Send “mode” alone.")
    word = body.get("mode")
    mode = word.upper() if isinstance(word, str) else ""
    if mode == _IMPORT:
        raise Refused(
            NOT_PERMITTED, "IMPORT would let callers choose ids and versions; here the database alone gives them."
        )
    if mode not in Mode.values:
        raise Refused(INVALID_MODE, f"“mode” is one of {', '.join(Mode.values)}.")
    return mode


def _none(subject: str) -> Refused:
    return Refused(NO_MODE, f"The subject “{subject}” has no mode of its own.")
