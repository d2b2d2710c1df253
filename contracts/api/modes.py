"""The mode of subjects: reading and writing, or only reading."""

from typing import Any

from contracts.api import openapi, request_parser
from contracts.api.errors import (
    INVALID_MODE,
    NO_MODE,
    NOT_PERMITTED,
    Refused,
)
from contracts.api.subjects import check_subject
from contracts.models import Contract, Mode
from contracts.registry import settings
from synapse.http.exchange import Request

_IMPORT = "IMPORT"


@openapi.described("GET", "/mode", "Show the mode of all subjects", openapi.ModeBody)
def show_mode(asked: Request) -> Any:
    """Shows the mode of every subject without its own."""
    return {"mode": settings.of_all().mode}


@openapi.described("PUT", "/mode", "Set the mode of all subjects", openapi.ModeBody, "force", request=openapi.ModeBody)
def set_mode(asked: Request) -> Any:
    """READONLY_OVERRIDE also applies to subjects with a mode of their own."""
    mode = _asked(asked)
    settings.change(None, by=asked.principal, mode=mode)
    return {"mode": mode}


@openapi.described("DELETE", "/mode", "Take the mode of all subjects back", openapi.ModeBody)
def delete_mode(asked: Request) -> Any:
    """Restores READWRITE. The answer has the mode before that."""
    before = settings.of_all().mode
    settings.change(None, by=asked.principal, mode=Mode.READWRITE.value)
    return {"mode": before}


@openapi.described("GET", "/mode/{subject}", "Show a subject's mode", openapi.ModeBody, "defaultToGlobal")
def show_subject_mode(asked: Request, subject: str) -> Any:
    """404 for a subject without a mode of its own, unless `defaultToGlobal` asks for the one that applies instead."""
    owner = Contract.objects.filter(subject=subject).first()
    if request_parser.flag(asked, "defaultToGlobal"):
        return {"mode": settings.mode_of(owner)}
    if owner is None or not owner.mode:
        raise _none(subject)
    return {"mode": owner.mode}


@openapi.described(
    "PUT", "/mode/{subject}", "Set a subject's mode", openapi.ModeBody, "force", request=openapi.ModeBody
)
def set_subject_mode(asked: Request, subject: str) -> Any:
    """The subject need not have a version yet."""
    check_subject(subject)
    mode = _asked(asked)
    settings.change_contract(subject, by=asked.principal, mode=mode)
    return {"mode": mode}


@openapi.described("DELETE", "/mode/{subject}", "Take a subject's mode back", openapi.ModeBody)
def delete_subject_mode(asked: Request, subject: str) -> Any:
    """The mode of all subjects applies to the subject again. The answer has its own mode before that."""
    owner = Contract.objects.filter(subject=subject).first()
    if owner is None or not owner.mode:
        raise _none(subject)
    settings.change_contract(subject, by=asked.principal, mode="")
    return {"mode": owner.mode}


def _asked(asked: Request) -> str:
    request_parser.flag(asked, "force")
    body = request_parser.body(asked)
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
