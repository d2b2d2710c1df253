"""Alert rules in the admin: built-in ones, changed or not, and others."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from alerts import stream
from alerts.admin import pages
from alerts.models import AlertRule
from alerts.snapshot import rules_of
from bridges.models import Bridge
from core.admin.base import AuditedAdmin, Page, person
from core.admin.list_fields import MappingField, NamesField
from streams.models import Stream
from synapse.alerts import definitions
from synapse.alerts.rules import CONDITIONS, DEFAULTS_BY_NAME
from synapse.alerts.subject import value_text
from synapse.formats.text import ALERTS_STREAM


def set_up_delivery(admin_: Any, request: HttpRequest) -> HttpResponse:
    """Define the stream of alerts if it is missing, and redirect to the form for a bridge that delivers them."""
    if not request.user.has_perms(["bridges.add_bridge", "alerts.add_alertrule"]):
        raise PermissionDenied
    if request.method != "POST":
        return redirect(admin_.page_url("now"))
    if stream.define_stream(by=person(request)):
        messages.success(request, f"The stream {ALERTS_STREAM} is defined now. A bridge carries its alerts away.")
    about = {"stream": Stream.objects.get(name=ALERTS_STREAM).pk, "sink": "notification", "group": "people"}
    return redirect(f"{reverse(f'admin:{Bridge._meta.app_label}_bridge_add')}?{urlencode(about)}")


class AlertRuleForm(forms.ModelForm):
    """The form of a rule, with subjects as chips and labels as rows."""

    subjects = NamesField(required=False, help_text=definitions.SUBJECTS.help)
    labels = MappingField(required=False, help_text=definitions.LABELS.help)


@admin.register(AlertRule)
class AlertRuleAdmin(AuditedAdmin):
    form = AlertRuleForm
    pages = (
        Page(path="now/", name="now", view=pages.show_alerts),
        Page(path="changes/", name="changes", view=pages.show_changes),
        Page(path="deliver/", name="deliver", view=set_up_delivery),
    )
    change_list_template = "alerts/admin/rules.html"
    fields = (
        *("name", "condition", "threshold", "for_seconds", "severity", "subjects", "enabled"),
        *("description", "runbook", "labels"),
    )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show all rules: built-in rules have no rows until they are changed."""
        rows = {row.name: row for row in AlertRule.objects.all()}
        more = {
            "title": "Alerts",
            "tabs": pages.tabs_for(request, "rules"),
            "may_add": self.has_add_permission(request),
            "rules": [
                {
                    "rule": rule,
                    "condition": (condition := CONDITIONS[rule.condition]),
                    "threshold": value_text(rule.threshold, condition.unit) if condition.unit else "",
                    "is_changed": rule.name in rows and rule.name in DEFAULTS_BY_NAME,
                    "is_own": rule.name not in DEFAULTS_BY_NAME,
                    "url": self._form_url(request, rule.name, rows.get(rule.name)),
                }
                for rule in rules_of(rows.values())
            ],
        }
        answer: HttpResponse = super().changelist_view(request, {**(extra_context or {}), **more})
        return answer

    def _form_url(self, request: HttpRequest, name: str, row: AlertRule | None) -> str:
        """Return the URL of a rule's form, "" if the person may not use it."""
        if row is not None:
            return self.page_url("change", row.pk)
        return f"{self.page_url('add')}?{urlencode({'name': name})}" if self.has_add_permission(request) else ""

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        # The form for a built-in rule starts with its values.
        given = super().get_changeform_initial_data(request)
        known = DEFAULTS_BY_NAME.get(given.get("name", ""))
        names = ("condition", "threshold", "for_seconds", "severity", "description")
        return {**({name: getattr(known, name) for name in names} if known else {}), **given}

    def get_readonly_fields(self, request: HttpRequest, obj: AlertRule | None = None) -> list[str]:
        # The name identifies firing alerts, so it cannot change.
        return ["name"] if obj else []

    def deletion_warnings(self, row: Model) -> list[str]:
        if str(row) in DEFAULTS_BY_NAME:
            return ["The rule is as it was from the start again. To have it not evaluated, disable it."]
        return ["Alerts of the rule that fire are resolved."]
