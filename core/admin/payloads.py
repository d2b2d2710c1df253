"""Pages that show what events hold: a permission of its own, and a line in the record for each look."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from core import payload_access
from core.admin.base import person
from synapse.auth.people import VIEW_PAYLOAD


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


def record(request: HttpRequest, target: str, ids: Sequence[str], *, events: int | None = None, **more: Any) -> None:
    """Record that the person was shown events, as `payload_access.record` does."""
    payload_access.record(person(request), target, ids, events=events, **more)
