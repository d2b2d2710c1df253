"""Pages that show what events hold: a permission of its own, and a line in the record for each look."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from core import audit
from core.admin.base import person
from core.person_rights import VIEW_PAYLOAD

ACTION = "see payloads"
# The record names so many ids; of more it says how many there were.
MOST_RECORDED = 100


def may_see(request: HttpRequest) -> bool:
    """Say whether the person may see what events hold."""
    return bool(request.user.has_perm(VIEW_PAYLOAD))


def check(request: HttpRequest) -> None:
    """Do nothing when the person may see what events hold.

    Raises:
        PermissionDenied: when they may not.
    """
    if not may_see(request):
        raise PermissionDenied


def record(request: HttpRequest, target: str, ids: list[str], **more: Any) -> None:
    """Record that the person was shown events, by their ids; nothing when none was. Not what was in them."""
    if ids:
        by = person(request)
        seen = {"events": len(ids), "ids": ids[:MOST_RECORDED], "personal": by.rights.has("personal:read"), **more}
        audit.record(by, ACTION, target, after=seen)
