"""The page with the summaries that streams declare of their archived events: the last hour, the last day."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from bridges import archive_summary
from core.admin.base import Page, person
from streams.snapshot import holder
from synapse.catalog import summaries

SPANS = (("The last hour", timedelta(hours=1)), ("The last day", timedelta(days=1)))


def urls(model_admin: Any, page: Page) -> list[URLPattern]:
    """Return the address of the page."""
    name = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{page.name}"
    return [path(page.path, model_admin.admin_site.admin_view(partial(page.view, model_admin)), name=name)]


def is_offered(request: HttpRequest) -> bool:
    """Say whether a person may see summaries, and any stream declares one (the sidebar's permission)."""
    streams = holder.loaded.streams.values() if holder.loaded else ()
    return request.user.has_perm("bridges.view_archivedevent") and any(stream.summaries for stream in streams)


def declared() -> list[tuple[str, summaries.Summary]]:
    """Return the summaries of all streams, with the stream of each."""
    streams = holder.current().streams.values()
    return [(stream.name, summary) for stream in streams for summary in summaries.read(stream.summaries)]


def show_summaries(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Show of each summary how often its work completed and failed, and its measure."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    now, by = timezone.now(), person(request)
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(
        request,
        "bridges/admin/summaries.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": "Summaries",
            "opts": model_admin.opts,
            "summaries": [
                (
                    stream,
                    summary,
                    [(span, archive_summary.since(stream, summary, now - long, by=by)) for span, long in SPANS],
                )
                for stream, summary in declared()
            ],
            "most": archive_summary.MOST_EVENTS,
        },
    )
