"""The keys of a service in the admin: their scopes and last use; forms to issue, rotate and revoke them."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from core.admin.base import person
from streams.access import key_issuance
from streams.admin import tabs
from streams.models import Key, Service
from synapse.auth.key_rights import WORDS
from synapse.problems import Problem

TITLE = "Keys"
_SEE, _ISSUE, _CHANGE = "streams.view_key", "streams.add_key", "streams.change_key"
_DAYS = (7, 30, 90, 365)


def keys(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the keys of a service, and issue one. Only the answer to that POST shows the new key."""
    service = _service(admin, request, pk, _ISSUE if request.method == "POST" else _SEE)
    issued = refused = None
    if request.method == "POST":
        try:
            issued = key_issuance.issue(
                service.name,
                by=person(request),
                label=request.POST.get("label", ""),
                scopes=_scopes(request),
                expires_at=_expiry(request.POST.get("days", "")),
            )
        except Problem as problem:
            refused = problem
    return _shown(admin, request, service, issued=issued, refused=refused)


def rotate(admin: Any, request: HttpRequest, pk: int, key_id: str) -> HttpResponse:
    """Ask to confirm, and issue a key that replaces another."""
    service = _service(admin, request, pk, _CHANGE)
    key = _key(service, key_id)
    refused = None
    if request.method == "POST":
        try:
            return _shown(
                admin, request, service, issued=key_issuance.rotate(service.name, key.key_id, by=person(request))
            )
        except Problem as problem:
            refused = problem
    return _asked(
        admin,
        request,
        service,
        question=f"Rotate the key {key.key_id}?",
        consequences=[
            "A new key is issued that may do the same. It is shown once.",
            f"The old one is good for {key_issuance.OVERLAP.days} day more, so that no program stops.",
        ],
        button="Rotate",
        refused=refused,
    )


def revoke(admin: Any, request: HttpRequest, pk: int, key_id: str) -> HttpResponse:
    """Ask to confirm, and revoke a key."""
    service = _service(admin, request, pk, _CHANGE)
    key = _key(service, key_id)
    if request.method == "POST":
        key_issuance.revoke(service.name, key.key_id, by=person(request))
        messages.success(request, f"The key {key.key_id} was revoked.")
        return redirect(admin.page_url("keys", service.pk))
    used = f"It was last used {key.last_used_at:%Y-%m-%d %H:%M} UTC." if key.last_used_at else "It was never used."
    return _asked(
        admin,
        request,
        service,
        question=f"Revoke the key {key.key_id}?",
        consequences=[
            "Programs that use it are refused from now on, everywhere within a second. This cannot be undone.",
            used,
        ],
        button="Revoke",
        is_dangerous=True,
    )


def _shown(
    admin: Any,
    request: HttpRequest,
    service: Service,
    *,
    issued: key_issuance.Issued | None = None,
    refused: Problem | None = None,
) -> HttpResponse:
    answer: HttpResponse = admin.show(
        request,
        "streams/admin/keys.html",
        title=f"Keys of {service.name}",
        row=service,
        service=service,
        tabs=tabs.of_service(request, service, TITLE),
        keys=list(service.keys.all()),
        words=WORDS.items(),
        days=_DAYS,
        issued=issued,
        refused=refused,
        may_issue=request.user.has_perm(_ISSUE),
        may_change=request.user.has_perm(_CHANGE),
    )
    return answer


def _asked(admin: Any, request: HttpRequest, service: Service, **about: Any) -> HttpResponse:
    answer: HttpResponse = admin.show(
        request,
        "streams/admin/key_confirm.html",
        title=f"Keys of {service.name}",
        row=service,
        back=admin.page_url("keys", service.pk),
        **about,
    )
    return answer


def _service(admin: Any, request: HttpRequest, pk: int, permission: str) -> Service:
    service: Service = admin.found(request, pk)
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return service


def _key(service: Service, key_id: str) -> Key:
    found = service.keys.filter(key_id=key_id).first()
    if found is None:
        raise Http404
    return found


def _scopes(request: HttpRequest) -> list[str]:
    """Return the ticked scopes and the typed patterns, which are separated by white space."""
    return [*request.POST.getlist("scopes"), *request.POST.get("patterns", "").split()]


def _expiry(days: str) -> Any:
    number = int(days) if days.isascii() and days.isdigit() and len(days) < 5 else 0
    return timezone.now() + timedelta(days=number) if number else None
