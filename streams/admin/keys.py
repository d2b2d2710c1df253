"""The keys of a service in the admin: their scopes and last use; forms to issue, rotate and revoke them."""

import json
import shlex
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from core.admin.base import MOST_CHOICES, Tab, person
from streams.access import key_issuance
from streams.admin import tabs
from streams.models import EventType, Grant, Key, Service, Stream
from streams.snapshot import grants_of
from synapse.auth import key_rights
from synapse.auth.key_rights import WORDS, sentence_of
from synapse.problems import Problem

TITLE = "Keys"
_SEE, _ISSUE, _CHANGE = "streams.view_key", "streams.add_key", "streams.change_key"
_DAYS = (7, 30, 90, 365)
_MOST_COMMANDS = 4
_JSON = "-H 'Content-Type: application/json'"


def show_keys(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the keys of a service; a POST issues one. Only the answer to that POST shows the new key."""
    service = _find_service(admin, request, pk, _ISSUE if request.method == "POST" else _SEE)
    issued = refused = None
    if request.method == "POST":
        try:
            issued = key_issuance.issue(
                service.name,
                by=person(request),
                label=request.POST.get("label", ""),
                scopes=_scopes_in(request),
                expires_at=_expiry_of(request.POST.get("days", "")),
            )
        except Problem as problem:
            refused = problem
    return _show_page(admin, request, service, issued=issued, refused=refused)


def issue_first(admin: Any, request: HttpRequest, service: Service) -> HttpResponse:
    """Issue the first key of a new service, and show it."""
    try:
        return _show_page(admin, request, service, issued=key_issuance.issue(service.name, by=person(request)))
    except Problem as refused:
        return _show_page(admin, request, service, refused=refused)


def rotate(admin: Any, request: HttpRequest, pk: int, key_id: str) -> HttpResponse:
    """Ask for confirmation; a POST issues a key that replaces another."""
    service = _find_service(admin, request, pk, _CHANGE)
    key = _find_key(service, key_id)
    refused = None
    if request.method == "POST":
        try:
            return _show_page(
                admin, request, service, issued=key_issuance.rotate(service.name, key.key_id, by=person(request))
            )
        except Problem as problem:
            refused = problem
    return _ask_to_confirm(
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
    """Ask for confirmation; a POST revokes the key."""
    service = _find_service(admin, request, pk, _CHANGE)
    key = _find_key(service, key_id)
    if request.method == "POST":
        key_issuance.revoke(service.name, key.key_id, by=person(request))
        messages.success(request, f"The key {key.key_id} was revoked.")
        return redirect(admin.page_url("keys", service.pk))
    used = f"It was last used {key.last_used_at:%Y-%m-%d %H:%M} UTC." if key.last_used_at else "It was never used."
    return _ask_to_confirm(
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


def _show_page(
    admin: Any,
    request: HttpRequest,
    service: Service,
    *,
    issued: key_issuance.NewKey | None = None,
    refused: Problem | None = None,
) -> HttpResponse:
    answer: HttpResponse = admin.show(
        request,
        "streams/admin/keys.html",
        title=f"Keys of {service.name}",
        row=service,
        service=service,
        tabs=tabs.of_service(request, service, TITLE),
        keys=[(key, [sentence_of(scope) for scope in key.scopes]) for key in service.keys.all()],
        words=WORDS.items(),
        granted=_scopes_of_grants(service),
        streams=_pages_of_streams(request, service),
        commands=_example_commands(request, service, issued) if issued else [],
        days=_DAYS,
        issued=issued,
        refused=refused,
        may_issue=request.user.has_perm(_ISSUE),
        may_change=request.user.has_perm(_CHANGE),
    )
    return answer


def _scopes_of_grants(service: Service) -> list[tuple[str, str]]:
    """Return the scope and the sentence of each stream that the service may publish to or read."""
    actions = {Grant.Action.PUBLISH: "publish", Grant.Action.SUBSCRIBE: "read"}
    scopes = dict.fromkeys(f"{actions[Grant.Action(grant.action)]}:{grant.stream}" for grant in service.grants.all())
    return [(scope, sentence_of(scope)) for scope in scopes]


def _pages_of_streams(request: HttpRequest, service: Service) -> list[Tab]:
    """Return the pages of the streams that grants of the service name."""
    if not request.user.has_perm("streams.view_stream"):
        return []
    names = [grant.stream for grant in service.grants.all()]
    found = Stream.objects.filter(name__in=names)[:MOST_CHOICES]
    return [Tab(title=stream.name, url=reverse("admin:streams_stream_change", args=[stream.pk])) for stream in found]


def _example_commands(request: HttpRequest, service: Service, issued: key_issuance.NewKey) -> list[tuple[str, str]]:
    """Return commands that use a new key, each with its title: to publish and to read, as the service may."""
    url, header = request.build_absolute_uri("/").rstrip("/"), f"-H 'Authorization: Bearer {issued.text}'"
    found: list[tuple[str, str]] = []
    for grant in service.grants.filter(action__in=Grant.Action.values):
        is_publish = grant.action == Grant.Action.PUBLISH
        if len(found) < _MOST_COMMANDS and "*" not in grant.stream and _may_use_grant(issued, grant):
            if is_publish:
                event = _example_event(grant)
                command = f"curl {url}/events/{grant.stream} {header} {_JSON} -d {shlex.quote(event)}"
            else:
                reader = {"consumer_group": service.name, "consumer_name": f"{service.name}-1", "count": 10}
                asked = json.dumps({"stream": grant.stream, **reader})
                command = f"curl {url}/v1/read {header} {_JSON} -d {shlex.quote(asked)}"
            found.append((f"{'Publish to' if is_publish else 'Read'} {grant.stream}", command))
    return found


def _may_use_grant(issued: key_issuance.NewKey, grant: Grant) -> bool:
    rights = key_rights.KeyRights(grants_of(issued.key.service), issued.key.scopes)
    return rights.may("publish" if grant.action == Grant.Action.PUBLISH else "read", grant.stream)


def _example_event(grant: Grant) -> str:
    """Return an event (JSON) that the service may publish: the example of a granted event type if there is one."""
    types = EventType.objects.filter(stream__name=grant.stream)
    if "*" not in grant.event_type:
        types = types.filter(name=grant.event_type)
    found = types.exclude(example=None).first() or types.first()
    name = found.name if found else grant.event_type.replace("*", "") or "test"
    return json.dumps((found and found.example) or {"event_type": name})


def _ask_to_confirm(admin: Any, request: HttpRequest, service: Service, **about: Any) -> HttpResponse:
    answer: HttpResponse = admin.show(
        request,
        "streams/admin/key_confirm.html",
        title=f"Keys of {service.name}",
        row=service,
        back=admin.page_url("keys", service.pk),
        **about,
    )
    return answer


def _find_service(admin: Any, request: HttpRequest, pk: int, permission: str) -> Service:
    service: Service = admin.get_row_or_404(request, pk)
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return service


def _find_key(service: Service, key_id: str) -> Key:
    found = service.keys.filter(key_id=key_id).first()
    if found is None:
        raise Http404
    return found


def _scopes_in(request: HttpRequest) -> list[str]:
    """Return the scopes of the form: ticked ones, typed patterns (separated by white space), and streams if the key is
    narrowed to some.
    """
    narrowed = request.POST.getlist("streams") if request.POST.get("reach") == "some" else []
    return [*request.POST.getlist("scopes"), *narrowed, *request.POST.get("patterns", "").split()]


def _expiry_of(days: str) -> Any:
    number = int(days) if days.isascii() and days.isdigit() and len(days) < 5 else 0
    return timezone.now() + timedelta(days=number) if number else None
