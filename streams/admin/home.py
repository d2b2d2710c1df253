"""The streams' part of the first page: a card for each, and what was counted on them."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from core.admin import payloads
from core.problems import Problem
from streams.admin import overview
from streams.admin.asking import ask_all
from streams.admin.overview import Overview
from streams.models import Stream


def values(request: HttpRequest) -> Mapping[str, Any]:
    """Return what the template shows: one query, and one pipeline."""
    if not request.user.has_perm("streams.view_stream"):
        return {"may_see": False}
    streams = list(Stream.objects.all())
    found = ask_all({"overview": overview.of([stream.name for stream in streams])})["overview"]
    known: Mapping[str, Overview] = {} if isinstance(found, Problem) else found
    return {
        "may_see": True,
        "page": "admin:streams_stream_messages" if payloads.may_see(request) else "admin:streams_stream_groups",
        "may_add": request.user.has_perm("streams.add_stream"),
        "problem": found if isinstance(found, Problem) else None,
        "cards": [(stream, known.get(stream.name)) for stream in streams],
    }
