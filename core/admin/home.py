"""The first page of the admin. Each app adds its part with `add`, in the order in which the apps are loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from core.models import AuditEntry

LATEST = 6
# What is recorded too, and changes nothing.
NO_CHANGES = ("see payloads", "log in", "log out", "fail to log in", "lock out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An app's part of the first page: a template, and a function that returns its values on each request."""

    template: str
    values: Callable[[HttpRequest], Mapping[str, Any]]


_parts: list[Part] = []


def add(part: Part) -> None:
    """Add a part to the first page."""
    _parts.append(part)


def context(request: HttpRequest, frame: dict[str, Any]) -> dict[str, Any]:
    """Return the template context of the first page (the theme's DASHBOARD_CALLBACK)."""
    may_see_record = request.user.has_perm("core.view_auditentry")
    return {
        **frame,
        "title": "Overview",
        "parts": [{"template": part.template, "values": part.values(request)} for part in _parts],
        "latest_changes": AuditEntry.objects.exclude(action__in=NO_CHANGES)[:LATEST] if may_see_record else [],
        "may_see_record": may_see_record,
    }
