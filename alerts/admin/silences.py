"""Silences in the admin."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from alerts import silences
from alerts.admin import pages
from alerts.models import Silence
from core.admin.base import AuditedAdmin, Page, person
from core.templatetags.synapse import moment

# The suggested length of a silence.
_USUAL = timedelta(hours=2)


def end_silence(admin_: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """End a silence now."""
    row = admin_.get_row_or_404(request, pk, to="change")
    if request.method == "POST":
        silences.end(row.pk, by=person(request))
        messages.success(request, "The silence is over: people are told again.")
    return redirect(admin_.page_url("changelist"))


@admin.register(Silence)
class SilenceAdmin(AuditedAdmin):
    pages = (Page(path="<int:pk>/end/", name="end", view=end_silence),)
    list_display = ["rule", "subject", "reason", "state", "from_", "until", "created_by"]
    search_fields = ["rule", "subject", "reason", "created_by"]
    fields = ("rule", "subject", "reason", "begins_at", "ends_at")
    list_before_template = "alerts/admin/silence_tabs.html"
    change_form_template = "alerts/admin/silence.html"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        more = {"title": "Alerts", "tabs": pages.tabs_for(request, "silences")}
        answer: HttpResponse = super().changelist_view(request, {**(extra_context or {}), **more})
        return answer

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"ends_at": timezone.now() + _USUAL, **super().get_changeform_initial_data(request)}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        may_act = self.has_change_permission(request)
        answer: HttpResponse = super().render_change_form(request, {**context, "may_act": may_act}, **options)
        return answer

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = str(person(request))[:200]
        super().save_model(request, obj, form, change)

    @admin.display(description="state")
    def state(self, row: Silence) -> str:
        return row.state

    @admin.display(description="begins", ordering="begins_at")
    def from_(self, row: Silence) -> str:
        return moment(row.begins_at)

    @admin.display(description="ends", ordering="ends_at")
    def until(self, row: Silence) -> str:
        return moment(row.ends_at)
