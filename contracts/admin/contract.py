"""Contracts in the admin: the list, and the page on which a contract's draft is edited."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string

from contracts import schemas
from contracts.admin import drafts, steps, uses, versions
from contracts.errors import BadSchema
from contracts.models import Contract, ContractVersion
from core.admin import AuditedAdmin, person
from core.admin.json_field import JsonText, refuse
from core.admin.pages import Page
from core.templatetags.synapse import moment, visible

State = ContractVersion.State


class ContractForm(forms.ModelForm):
    """A contract, and the schema that is its draft or becomes it."""

    schema = JsonText(
        required=False,
        label="JSON Schema",
        help_text="Saved as the contract's draft. Events are checked against it from the moment it is activated.",
    )

    class Meta:
        model = Contract
        fields = ["subject", "description"]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk:
            self.initial["schema"] = drafts.standing_text(self.instance)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        text = values.get("schema", "")
        if text.strip():
            try:
                schemas.compile_schema(schemas.parse(text))
            except BadSchema as error:
                refuse(self, "schema", text, [(error.members.get("pointer", ""), error.detail)])
        elif self.initial.get("schema"):
            self.add_error("schema", "Write a schema. To take the draft back, discard it.")
        return values


@admin.register(Contract)
class ContractAdmin(AuditedAdmin):
    form = ContractForm
    list_display = ["subject", "standing", "activated", "description"]
    search_fields = ["subject", "description"]
    change_form_template = "contracts/admin/contract.html"
    pages = (
        Page(path="<int:pk>/versions/<int:number>/", name="version", view=versions.version),
        Page(path="<int:pk>/differences/", name="differences", view=versions.differences),
        Page(path="<int:pk>/activate/", name="activate", view=steps.activate),
        Page(path="<int:pk>/versions/<int:number>/deprecate/", name="deprecate", view=steps.deprecate),
        Page(path="<int:pk>/discard/", name="discard", view=steps.discard),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contract]:
        contracts: QuerySet[Contract] = super().get_queryset(request)
        draft = ContractVersion.objects.filter(contract=OuterRef("pk"), state=State.DRAFT)
        return contracts.annotate(
            active_number=Max("versions__number", filter=Q(versions__state=State.ACTIVE)),
            latest_activation=Max("versions__activated_at"),
            has_draft=Exists(draft),
        )

    @admin.display(description="stands at", ordering="active_number")
    def standing(self, contract: Any) -> str:
        facts = {"number": contract.active_number, "has_draft": contract.has_draft}
        return render_to_string("contracts/admin/standing.html", facts)

    @admin.display(description="activated", ordering="latest_activation")
    def activated(self, contract: Any) -> str:
        return moment(contract.latest_activation)

    def get_readonly_fields(self, request: HttpRequest, obj: Contract | None = None) -> tuple[str, ...]:
        # The subject is what everybody knows the contract by.
        return () if obj is None else ("subject",)

    def get_fieldsets(self, request: HttpRequest, obj: Contract | None = None) -> Any:
        about = (None, {"fields": ["subject", "description"]})
        if obj is not None and not self.has_change_permission(request, obj):
            # Who may only look finds the schemas among the versions.
            return [about]
        title = "Draft" if obj is not None and drafts.draft_of(obj) else "Next version"
        return [about, (title, {"fields": ["schema"], "classes": ["s-wide"]})]

    def has_delete_permission(self, request: HttpRequest, obj: Contract | None = None) -> bool:
        # Published events carry a version's number, and a contract made anew would give it to another schema.
        numbered = obj is not None and obj.versions.filter(number__isnull=False).exists()
        return not numbered and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if text := form.cleaned_data.get("schema"):
            drafts.save(obj, text, by=person(request))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        contract = options.get("obj")
        if contract is not None:
            active = next((found for found in _versions(contract) if found.state == State.ACTIVE), None)
            context |= {
                "versions": _versions(contract),
                "draft": drafts.draft_of(contract),
                "active": active,
                "uses": uses.of(contract, None if active is None else schemas.parse(active.text)),
            }
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    def response_add(self, request: HttpRequest, obj: Contract, post_url_continue: str | None = None) -> HttpResponse:
        return self._saved(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Contract) -> HttpResponse:
        return self._saved(request, obj) or super().response_change(request, obj)

    def _saved(self, request: HttpRequest, contract: Contract) -> HttpResponse | None:
        """Say what was saved and go on: to the question whether to activate, or back to the page."""
        if IS_POPUP_VAR in request.POST:
            return None
        name = visible(contract)
        if drafts.draft_of(contract) is None:
            self.message_user(request, f"“{name}” is saved. Its schema is as it was, so there is nothing to activate.")
        elif "_activate" in request.POST:
            return redirect(self.page_url("activate", contract.pk))
        else:
            self.message_user(request, f"The draft of “{name}” is saved. It takes effect when it is activated.")
        return redirect(self.page_url("change", contract.pk))


def _versions(contract: Contract) -> QuerySet[ContractVersion]:
    """Return the draft, then the versions from the newest."""
    return contract.versions.select_related("schema").order_by(F("number").desc(nulls_first=True))
