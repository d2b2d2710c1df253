"""The bridges' part of the first page."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from bridges.admin.bridges import attach_reasons, overviews
from bridges.models import Bridge
from streams.admin.messages import attach_overviews

MOST = 20


def values(request: HttpRequest) -> Mapping[str, Any]:
    """Return what the template shows: one query, and a few round trips."""
    if not request.user.has_perm("bridges.view_bridge"):
        return {"may_see": False}
    bridges = list(Bridge.objects.select_related("stream")[:MOST])
    problem = attach_overviews(bridges, overviews)
    attach_reasons(request, bridges)
    return {"may_see": True, "problem": problem, "bridges": bridges}
