"""The page that says what the archived inference events tell: the last hour, the last day."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from bridges import inference_summary
from core.admin.base import Page, person

SPANS = (("The last hour", timedelta(hours=1)), ("The last day", timedelta(days=1)))


def urls(model_admin: Any, page: Page) -> list[URLPattern]:
    """Return the address of the page."""
    name = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{page.name}"
    return [path(page.path, model_admin.admin_site.admin_view(partial(page.view, model_admin)), name=name)]


def inference(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Show count, mean and p95 latency and errors of the archived inference events, by model."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    now = timezone.now()
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(
        request,
        "bridges/admin/inference.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": "Archived inference events",
            "opts": model_admin.opts,
            "spans": [(title, inference_summary.since(now - span, by=person(request))) for title, span in SPANS],
            "most": inference_summary.MOST_EVENTS,
        },
    )
