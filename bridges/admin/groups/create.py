"""Making a group."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from bridges import groups
from bridges.admin.dead_letters import selection
from core.admin.base import person
from streams.admin import tabs
from synapse.problems import Problem


def create(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the name and the place, and make the group."""
    stream = selection.found(admin, request, pk, to="change")
    name, at = request.POST.get("name", "").strip(), request.POST.get("at", "beginning").strip()
    refused = None
    if request.method == "POST":
        try:
            groups.create(stream.name, name, at, by=person(request))
        except Problem as problem:
            refused = problem
        else:
            messages.success(request, f"The group “{name}” was made.")
            return redirect(reverse("admin:streams_stream_groups", args=[pk]))
    answer: HttpResponse = admin.show(
        request,
        "bridges/admin/groups/new.html",
        title=f"New group of {stream.name}",
        stream=stream,
        tabs=tabs.of_stream(request, stream, "New group"),
        name=name,
        at=at,
        refused=refused,
    )
    return answer
